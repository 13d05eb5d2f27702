"""Intervals for shares of small groups: Wilson's for one share, Newcombe's for a difference, a ratio on the log scale.

Sources: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212; R. G. Newcombe, Statistics in
Medicine 17 (1998), 857-872 (method 3) and 873-890 (method 10); D. Katz and others, Biometrics 34 (1978), 469-474.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist

LEVEL = 0.95
"""The confidence of an interval, if no other is named."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a group had an outcome."""

    of: int
    """The size of the group."""
    hits: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.of:
            raise ValueError(f"{self.hits} of {self.of} is no share")

    @property
    def share(self) -> float:
        """The share that was seen; 0 in an empty group."""
        return self.hits / self.of if self.of else 0.0

    @property
    def rest(self) -> int:
        """How many had not the outcome."""
        return self.of - self.hits


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and the interval that holds the true value with that confidence."""

    estimate: float
    low: float
    high: float


def wilson(count: Count, level: float = LEVEL) -> Interval:
    """The interval of a share: all shares that a score test does not reject. Nothing is known of an empty group."""
    if count.of == 0:
        return Interval(0.0, 0.0, 1.0)
    z, size = _quantile(level), count.of
    middle = (count.hits + z * z / 2) / (size + z * z)
    half = z / (size + z * z) * sqrt(count.hits * count.rest / size + z * z / 4)
    # The ends are exactly 0 and 1 where nobody or everybody had the outcome; rounding would leave a rest.
    low = 0.0 if count.hits == 0 else max(middle - half, 0.0)
    high = 1.0 if count.rest == 0 else min(middle + half, 1.0)
    return Interval(count.share, low, high)


def difference(one: Count, other: Count, level: float = LEVEL) -> Interval:
    """The interval of the share of `one` less that of `other`, for independent groups (Newcombe's hybrid score)."""
    if not one.of or not other.of:
        return Interval(0.0, -1.0, 1.0)
    of_one, of_other = wilson(one, level), wilson(other, level)
    seen = one.share - other.share
    low = seen - sqrt((one.share - of_one.low) ** 2 + (of_other.high - other.share) ** 2)
    high = seen + sqrt((of_one.high - one.share) ** 2 + (other.share - of_other.low) ** 2)
    return Interval(seen, low, high)


def ratio(one: Count, other: Count, level: float = LEVEL) -> Interval | None:
    """The interval of the share of `one` divided by that of `other`, on the log scale.

    None if either group is empty or had the outcome never: then the ratio or its logarithm has no value.
    """
    if not one.hits or not other.hits:
        return None
    seen = one.share / other.share
    spread = sqrt(1 / one.hits - 1 / one.of + 1 / other.hits - 1 / other.of)
    factor = exp(_quantile(level) * spread)
    return Interval(seen, exp(log(seen) - log(factor)), exp(log(seen) + log(factor)))


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {level}")
    return NormalDist().inv_cdf((1 + level) / 2)
