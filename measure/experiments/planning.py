"""How many contacts an experiment needs, before it begins."""

from __future__ import annotations

from math import ceil, inf
from statistics import NormalDist

from measure.experiments.confidence_sequences import ALPHA, width_factor

POWER = 0.8
"""The share of experiments with a true effect of the size asked for that find it, if nothing else is named."""


def smallest_visible(n: int, base: float, weight: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """The least rise of a rate that `n` exposed contacts show with this power, for a control that converts `base`.

    `weight` is the treated's share of the exposed. The sequence is planned for `n`. The answer is infinite where even a
    treated rate of one would not be seen.
    """
    _valid(base, weight, power)
    low, high = 0.0, 1 - base
    if needed(base, high, weight, alpha, power) > n:
        return inf
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if needed(base, middle, weight, alpha, power) > n else (low, middle)
    return high


def needed(base: float, effect: float, weight: float, alpha: float = ALPHA, power: float = POWER) -> int:
    """How many exposed contacts in both groups show with this power that a rate rises from `base` by `effect`."""
    _valid(base, weight, power)
    if not 0 < effect <= 1 - base:
        raise ValueError(f"the effect worth having lies above 0 and at most at {1 - base:g}, not at {effect:g}")
    treated = base + effect
    variance = treated * (1 - treated) / weight + base * (1 - base) / (1 - weight)  # of the difference, times n
    factor = width_factor(1.0, 1.0, alpha) + NormalDist().inv_cdf(power)
    return ceil((factor / effect) ** 2 * variance)


def _valid(base: float, weight: float, power: float) -> None:
    for name, value in (("rate", base), ("share", weight), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"a {name} lies between 0 and 1, not at {value}")
