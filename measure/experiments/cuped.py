"""Less noise by what was known before exposure: CUPED ("controlled-experiment using pre-experiment data").

Each value is corrected by how far the unit's earlier value was from the mean: Y - theta (X - mean X). The difference
of the groups stays what it was on average, and the variance falls by the square of the correlation of X and Y.

Source: A. Deng, Y. Xu, R. Kohavi, T. Walker, "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data", WSDM 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

from measure.experiments.moments import Moments, of_sums


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of a group's outcomes (y) and of the same units' earlier values (x), as counters keep them."""

    n: int
    y: float
    yy: float
    x: float
    xx: float
    xy: float


def adjusted(groups: Mapping[str, Sums]) -> tuple[dict[str, Moments], float]:
    """The moments of each group's corrected values, and the share by which the variance fell.

    Theta is the same for all groups, of the covariances within the groups, so that an effect does not enter it. Without
    any spread in the earlier values nothing is corrected.
    """
    within_xx, within_xy, within_yy = (
        fsum(_within(one, which) for one in groups.values()) for which in ("xx", "xy", "yy")
    )
    units = sum(one.n for one in groups.values())
    plain = {name: of_sums(one.n, one.y, one.yy) for name, one in groups.items()}
    if within_xx <= 0 or within_yy <= 0 or not units:
        return plain, 0.0
    theta, middle = within_xy / within_xx, fsum(one.x for one in groups.values()) / units
    found = {name: _corrected(one, plain[name], theta, middle) for name, one in groups.items()}
    return found, min(within_xy**2 / (within_xx * within_yy), 1.0)


def _within(one: Sums, which: str) -> float:
    """The sum of products of deviations from the group's own means."""
    first, second = ({"x": one.x, "y": one.y}[axis] for axis in which)
    products = {"xx": one.xx, "xy": one.xy, "yy": one.yy}[which]
    return products - first * second / one.n if one.n else 0.0


def _corrected(one: Sums, plain: Moments, theta: float, middle: float) -> Moments:
    if one.n < 2:
        return plain
    spread = _within(one, "yy") - 2 * theta * _within(one, "xy") + theta**2 * _within(one, "xx")
    return Moments(one.n, plain.mean - theta * (one.x / one.n - middle), max(spread, 0.0) / (one.n - 1))
