"""How many times as often the treated convert: an exact interval at all looks together, also for few conversions.

Each conversion belongs to an arm. If both arms convert equally often, it belongs to the treated with the probability of
their weight, however the rate changes in time. So the counts of conversions alone tell the ratio of the rates.

Source: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, section on
time-inhomogeneous rates. It holds for conversions that come independently, each unit at most once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log, log1p

from measure.experiments.confidence_sequences import ALPHA
from measure.experiments.dirichlet import log_e_value, p_value

CONCENTRATION = 100
_STEPS = 60
"""Bisections of a range of 1,200: what is left is as small as a float's rounding."""
_FAR = 600.0
"""The logarithm of a ratio beyond all that can be seen."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The rate of the treated divided by that of the control; no estimate without a conversion in the control."""

    estimate: float | None
    low: float
    high: float
    p: float


def conversion_ratio(treated: int, control: int, weight: float, alpha: float = ALPHA) -> Ratio:
    """The ratio for these numbers of conversions, where `weight` is the treated's share of the exposed."""
    if not 0 < weight < 1:
        raise ValueError(f"the treated's share lies between 0 and 1, not at {weight}")
    odds = log(weight) - log1p(-weight)
    against_equal = log_e_value([treated, control], [weight, 1 - weight], CONCENTRATION)
    mixture = against_equal + treated * log(weight) + control * log1p(-weight)

    def excluded(log_ratio: float) -> bool:
        """Whether the evidence is against this ratio. The treated have a conversion with the log odds of the ratio."""
        at = odds + log_ratio
        return mixture + treated * log1p(exp(-at)) + control * log1p(exp(at)) > -log(alpha)

    seen = log(treated / control) - odds if treated and control else None
    inside = seen if seen is not None else _FAR if treated else -_FAR if control else 0.0
    low = 0.0 if treated == 0 else exp(_boundary(excluded, -_FAR, inside))
    high = inf if control == 0 else exp(_boundary(excluded, _FAR, inside))
    estimate = treated / control / exp(odds) if control else None
    return Ratio(estimate, low, high, p_value(against_equal))


def incremental(treated: int, ratio: Ratio) -> tuple[float | None, float, float]:
    """How many of the treated's conversions would not have come without the treatment, and the ends of its interval."""

    def share(value: float) -> float:
        return treated * (1 - 1 / value) if value > 0 else -inf

    return (None if ratio.estimate is None else share(ratio.estimate)), share(ratio.low), share(ratio.high)


def cost_per_incremental(cost: float, more: tuple[float | None, float, float]) -> tuple[float | None, float]:
    """The most and the least that a further conversion cost, from the interval of the incremental conversions.

    The most is None where there may be no further conversion at all: then it has no upper bound. The least is infinite
    where there is none even at the upper end.
    """
    _, low, high = more
    return (cost / low if low > 0 else None), (cost / high if high > 0 else inf)


def _boundary(excluded: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where the logarithm of the ratio begins to be inside the interval."""
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        if excluded(middle):
            outside = middle
        else:
            inside = middle
    return inside
