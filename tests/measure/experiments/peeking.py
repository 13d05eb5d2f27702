"""How often an experiment without any effect is called one, if somebody looks after each contact.

`python -m tests.measure.experiments.peeking EXPERIMENTS CONTACTS` measures it for several rates and weights.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import log, log1p
from statistics import NormalDist

import numpy as np
from scipy.special import gammaln

from measure.experiments.confidence_sequences import ALPHA, width_factor
from measure.experiments.conversion_ratio import CONCENTRATION
from measure.experiments.verdict import BURN_IN, SETTLED

SITUATIONS = ((0.5, 0.02), (0.5, 0.05), (0.5, 0.3), (0.9, 0.05), (0.95, 0.01))
"""The treated's weight, and the rate of both arms."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Of `runs` experiments, the share in which a method ever excluded the truth at any look."""

    runs: int
    sequence: float
    """The confidence sequence of the difference, from where it is settled."""
    ratio: float
    """The interval of the conversions' ratio."""
    verdict: float
    """The ratio, and the difference once it is settled: what a report calls better or worse."""
    ordinary: float
    """The interval for one look, for comparison."""


def look_after_each(
    *,
    runs: int,
    contacts: int,
    control_rate: float,
    treated_rate: float | None = None,
    weight: float = 0.5,
    planned: float,
    alpha: float = ALPHA,
    seed: int = 1,
) -> Alarms:
    """Simulate experiments, and look at each after every contact, from `BURN_IN` contacts in the smaller arm on.

    A treated rate of None is the control's: no effect. Otherwise the truth is the difference, or the ratio, of the two.
    """
    rng = np.random.default_rng(seed)
    treated_rate = control_rate if treated_rate is None else treated_rate
    factors = np.array([width_factor(n, planned, alpha) for n in range(1, contacts + 1)])
    z = NormalDist().inv_cdf(1 - alpha / 2)
    wrong = np.zeros(4)
    for _ in range(runs):
        arm = rng.random(contacts) < weight
        hit = rng.random(contacts) < np.where(arm, treated_rate, control_rate)
        n_t, n_c = np.cumsum(arm), np.cumsum(~arm)
        x_t, x_c = np.cumsum(hit & arm), np.cumsum(hit & ~arm)
        seen = np.minimum(n_t, n_c) >= BURN_IN
        n_t, n_c, x_t, x_c, factor = n_t[seen], n_c[seen], x_t[seen], x_c[seen], factors[seen]
        p_t, p_c = x_t / n_t, x_c / n_c
        error = np.sqrt(p_t * (1 - p_t) / (n_t - 1) + p_c * (1 - p_c) / (n_c - 1))
        off = p_t - p_c - (treated_rate - control_rate)
        known = error > 0
        settled = np.minimum(x_t, x_c) >= SETTLED
        by_sequence = known & settled & (np.abs(off) > factor * error)
        evidence = _ratio_evidence(x_t, x_c, weight, treated_rate / control_rate)
        by_ratio = evidence > -log(alpha)
        side = np.sign(off) == np.sign(x_t * (1 - weight) * control_rate - x_c * weight * treated_rate)
        by_both = (by_sequence | ~settled) & by_ratio & side
        ordinary = known & (np.abs(off) > z * error)
        wrong += [by_sequence.any(), by_ratio.any(), by_both.any(), ordinary.any()]
    return Alarms(runs, *(float(share) for share in wrong / runs))


def _ratio_evidence(x_t: np.ndarray, x_c: np.ndarray, weight: float, ratio: float) -> np.ndarray:
    """The logarithm of the evidence against the true ratio: see `measure.experiments.conversion_ratio`."""
    share = weight * ratio / (weight * ratio + 1 - weight)
    a, b = CONCENTRATION * weight, CONCENTRATION * (1 - weight)
    after = gammaln(a + x_t) + gammaln(b + x_c) - gammaln(a + b + x_t + x_c)
    before = gammaln(a) + gammaln(b) - gammaln(a + b)
    found: np.ndarray = after - before - x_t * log(share) - x_c * log1p(-share)
    return found


def main(experiments: int, contacts: int) -> None:
    """Print for each situation the share of experiments that ever named an effect, though there is none."""
    for weight, rate in SITUATIONS:
        found = look_after_each(
            runs=experiments, contacts=contacts, control_rate=rate, weight=weight, planned=contacts / 4
        )
        print(f"{weight:.0%} treated, rate {rate:.0%}: {found}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
