"""How many values a group has, their mean and their variance: all that a comparison of two groups needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from measure.intervals import Count


@dataclass(frozen=True, slots=True)
class Moments:
    """The number of units of a group, the mean of their values, and the variance of a single value (divided by n - 1).

    The variance is 0 with fewer than two units.
    """

    n: int
    mean: float
    variance: float


def of_sums(n: int, total: float, squares: float) -> Moments:
    """The moments of `n` values with this sum and this sum of squares, as counters keep them."""
    if n == 0:
        return Moments(0, 0.0, 0.0)
    mean = total / n
    # Rounding can leave a small negative number where all values are equal.
    return Moments(n, mean, max(squares - total * mean, 0.0) / (n - 1) if n > 1 else 0.0)


def of_count(count: Count) -> Moments:
    """The moments of an outcome that each unit has (1) or has not (0)."""
    return of_sums(count.of, count.hits, count.hits)
