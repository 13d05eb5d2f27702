"""How long it takes to reach the goal, with those still under way and those who left counted as what they are.

The mean over those who arrived says too little: the slow ones have not arrived yet. And where runs end for other
reasons, one minus Kaplan-Meier says too much: it takes those who left as people who may still arrive. So the share that
has reached the goal by a time is the cumulative incidence by Aalen and Johansen. Without other endings both are equal.

Sources: E. L. Kaplan, P. Meier, Journal of the American Statistical Association 53 (1958), 457-481; O. O. Aalen, S.
Johansen, Scandinavian Journal of Statistics 5 (1978), 141-150; the variance is Greenwood's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

from measure.intervals import LEVEL

Ending = Literal["goal", "other", "under way"]


class Course(NamedTuple):
    """One enrolment: how long it was looked at, in any unit, and how that ended."""

    lasted: float
    ending: Ending


@dataclass(frozen=True, slots=True)
class Reached:
    """Up to and with this time: the share that reached the goal, and the share that is still under way, with the
    interval of the latter (Kaplan-Meier, by the logarithm of its logarithm)."""

    at: float
    goal: float
    under_way: float
    low: float
    high: float


def time_to_goal(courses: Iterable[Course], level: float = LEVEL) -> list[Reached]:
    """The curve: a point for each time at which an enrolment ended, the earliest first."""
    ordered = sorted(courses)
    at_risk, under_way, goal, spread = len(ordered), 1.0, 0.0, 0.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    found: list[Reached] = []
    for at, together in groupby(ordered, key=lambda course: course.lasted):
        endings = Counter(course.ending for course in together)
        ended = endings["goal"] + endings["other"]
        if ended:
            goal += under_way * endings["goal"] / at_risk
            under_way *= 1 - ended / at_risk
            spread += ended / (at_risk * (at_risk - ended)) if at_risk > ended else 0.0
            found.append(Reached(at, goal, under_way, *_interval(under_way, spread, z)))
        at_risk -= endings.total()
    return found


def quantile(curve: Sequence[Reached], share: float) -> float | None:
    """The time by which this share of all had reached the goal; None if that has not happened."""
    return next((point.at for point in curve if point.goal >= share - 1e-12), None)


def _interval(share: float, spread: float, z: float) -> tuple[float, float]:
    if share <= 0.0 or share >= 1.0:
        return share, share
    half = z * sqrt(spread) / log(share)
    centre = log(-log(share))
    ends = exp(-exp(centre + half)), exp(-exp(centre - half))
    return min(ends), max(ends)
