"""How a score goes on from a moment if nothing else happens: what is stored, so that its value can be told at any time.

A sum of points that stay, of points that lose half of their worth in each half-life, and of steps: points that are
added or taken away at a known moment, such as the end of `within`.

Moments are instants of `audience.scores.decay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nsmallest
from math import fsum
from typing import Any

from audience.scores.contributions import Contribution, Halving, points_of
from audience.scores.decay import Decaying, instant, moment_of

MAX_STEPS = 50
"""Steps that are kept. With the next one, the score has to be evaluated again."""


@dataclass(frozen=True, slots=True)
class Course:
    """The values of a score from a moment until `known_until`."""

    constant: float
    decaying: tuple[Decaying, ...] = ()
    steps: tuple[tuple[int, float], ...] = ()
    """Moments in order, and the points that are added at each."""
    known_until: datetime | None = None
    """The first moment of which nothing is known; None: there is none."""

    def value_at(self, now: datetime) -> float:
        """The score at a moment, which is not before the one that the course begins with."""
        at = instant(now)
        steps = (points for moment, points in self.steps if moment <= at)
        return fsum([self.constant, *(part.value_at(at) for part in self.decaying), *steps])

    def to_data(self) -> dict[str, Any]:
        """The course as JSON data, exactly; `known_until` is kept elsewhere."""
        return {
            "constant": self.constant,
            "decaying": [[part.value, part.at, part.half_life] for part in self.decaying],
            "steps": [[moment, points] for moment, points in self.steps],
        }


NO_POINTS = Course(0.0)


def course_from_data(data: Mapping[str, Any]) -> Course:
    """The inverse of `Course.to_data`."""
    return Course(
        float(data["constant"]),
        tuple(Decaying(float(value), at, half_life) for value, at, half_life in data["decaying"]),
        tuple((moment, float(points)) for moment, points in data["steps"]),
    )


def course_of(contributions: Sequence[Contribution], now: datetime) -> Course:
    """The course of a sum of contributions from `now` on. Events of the future end it: what follows is not kept."""
    at = instant(now)
    parts = [one.part_at(at) for one in contributions]
    # Only an event of the future makes decaying points jump.
    ends = [jump for one in contributions if isinstance(one, Halving) for jump in one.jumps(at)]
    whole = [one for one in contributions if not isinstance(one, Halving)]
    jumps = nsmallest(MAX_STEPS + 1, {jump for one in whole for jump in one.jumps(at)})
    if len(jumps) > MAX_STEPS:
        ends.append(jumps.pop())
    end = min(ends, default=None)
    kept = [jump for jump in jumps if end is None or jump < end]
    sums = [fsum(points_of(one.part_at(moment), moment) for one in whole) for moment in (at, *kept)]
    return Course(
        fsum(part for part in parts if not isinstance(part, Decaying)),
        tuple(part for part in parts if isinstance(part, Decaying)),
        tuple((moment, after - before) for moment, before, after in zip(kept, sums, sums[1:], strict=False)),
        None if end is None else moment_of(end),
    )
