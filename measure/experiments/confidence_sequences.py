"""Intervals for the difference of two groups' means that hold at all looks together, however often one looks.

The ordinary interval holds for one look. Whoever looks each day and stops at the first that is clear is wrong in about
half of the cases where there is no difference. A confidence sequence holds the truth at every look at once, with the
probability that it names. So a report may be read at any time and a decision taken at any time.

Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", arXiv 2103.06476: theorem 2.2 for two sides, equation 134 for one side; the choice of
rho is that of its appendix. It is asymptotic: it needs some hundred units in each group before it holds
(`measure.experiments.verdict` waits for them).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, log1p, sqrt

from measure.experiments.moments import Moments

ALPHA = 0.05
"""The share of experiments without a difference in which any look may name one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of the treated less that of the control, the sequence's interval, and its p value.

    The p value is valid at any time too. All ends are infinite, and p is 1, as long as nothing can be said.
    """

    estimate: float
    low: float
    high: float
    p: float


def difference(treated: Moments, control: Moments, planned: float, alpha: float = ALPHA) -> Difference:
    """The difference of two means.

    `planned` is the number of units in both groups at which the interval is tightest. It must be fixed before the
    first look, and may be wrong: the interval holds all the same, and is wider.
    """
    _valid(planned, alpha)
    error = _standard_error(treated, control)
    if error is None:
        return Difference(_gap(treated, control), -inf, inf, 1.0)
    gap, n = _gap(treated, control), treated.n + control.n
    half, known = error * width_factor(n, planned, alpha), n * _rho_squared(planned, alpha)
    p = min(1.0, exp(log1p(known) / 2 - known * (gap / error) ** 2 / (2 * (1 + known))))
    return Difference(gap, gap - half, gap + half, p)


def least_difference(treated: Moments, control: Moments, planned: float, alpha: float = ALPHA) -> float:
    """The lower end of a one-sided sequence: the true difference is above it, at all looks together.

    A guardrail asks for harm in one direction only, and one side is narrower than two. For a harm that lies below,
    change the signs of the means.
    """
    _valid(planned, alpha)
    error = _standard_error(treated, control)
    if error is None:
        return -inf
    known = (treated.n + control.n) * _rho_squared(planned, 2 * alpha)
    factor = sqrt(2 * (1 + 1 / known) * log1p(sqrt(1 + known) / (2 * alpha)))
    return _gap(treated, control) - factor * error


def width_factor(n: float, planned: float, alpha: float = ALPHA) -> float:
    """Half the interval's width in standard errors, after `n` units; 1.96 is that of an interval for one look."""
    _valid(planned, alpha)
    known = n * _rho_squared(planned, alpha)
    return sqrt(2 * (1 + 1 / known) * (log1p(known) / 2 - log(alpha)))


def _rho_squared(planned: float, alpha: float) -> float:
    """The parameter that makes the sequence tightest after `planned` units."""
    return (-2 * log(alpha) + log1p(-2 * log(alpha))) / planned


def _gap(treated: Moments, control: Moments) -> float:
    return treated.mean - control.mean if treated.n and control.n else 0.0


def _standard_error(treated: Moments, control: Moments) -> float | None:
    """The standard error of the difference; None if a group is too small to have one, or no value differs."""
    if treated.n < 2 or control.n < 2:
        return None
    squared = treated.variance / treated.n + control.variance / control.n
    return sqrt(squared) if squared > 0 else None


def _valid(planned: float, alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha lies between 0 and 0.5, not at {alpha}")
    if planned <= 0:
        raise ValueError(f"the planned number of units is positive, not {planned}")
