"""How a score goes on from a moment if nothing else happens: what is stored, so that its value can be told at any time.

A sum of points that stay, of points that lose half of their worth in each half-life, and of steps: points that are
added or taken away at a known moment, such as the end of `within`.

Moments are instants of `audience.scores.points.decay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum
from typing import Any

from audience.scores.points.contributions import Contribution, Part
from audience.scores.points.decay import Decaying, instant, moment_of

MAX_STEPS = 50
"""Steps that are kept. With the next one, the score has to be evaluated again."""


@dataclass(frozen=True, slots=True)
class Course:
    """The values of a score from a moment until `known_until`."""

    constant: float
    decaying: tuple[Decaying, ...] = ()
    steps: tuple[tuple[int, float], ...] = ()
    """Moments in order, and the points that are added at each."""
    known_until: datetime | None = field(default=None, compare=False)
    """The first moment of which nothing is known; None: there is none."""
    tally: Mapping[str, Any] | None = None
    """What the rules have counted, as data (`audience.scores.tally`); None: the next event needs all facts."""

    def value_at(self, now: datetime) -> float:
        """The score at a moment, which is not before the one that the course begins with."""
        at = instant(now)
        steps = (points for moment, points in self.steps if moment <= at)
        return fsum([self.constant, *(part.value_at(at) for part in self.decaying), *steps])

    def to_data(self) -> dict[str, Any]:
        """The course as JSON data, exactly; `known_until` is kept elsewhere."""
        tally = {} if self.tally is None else {"tally": self.tally}
        return {
            "constant": self.constant,
            "decaying": [[part.value, part.at, part.half_life] for part in self.decaying],
            "steps": [[moment, points] for moment, points in self.steps],
            **tally,
        }


NO_POINTS = Course(0.0)


def course_from_data(data: Mapping[str, Any]) -> Course:
    """The inverse of `Course.to_data`."""
    return Course(
        float(data["constant"]),
        tuple([Decaying(float(value), at, half_life) for value, at, half_life in data["decaying"]]),
        tuple([(moment, float(points)) for moment, points in data["steps"]]),
        tally=data.get("tally"),
    )


def steps_of(contributions: Sequence[Contribution], now: int) -> list[tuple[int, float]]:
    """The steps of all contributions after that instant, in order."""
    added: dict[int, float] = {}
    for one in contributions:
        for moment, points in one.steps(now):
            added[moment] = added.get(moment, 0.0) + points
    return sorted(added.items())


def course_of(
    parts: Sequence[Part],
    steps: Sequence[tuple[int, float]],
    jumps: Sequence[int],
    tally: Mapping[str, Any] | None = None,
) -> Course:
    """The course of a sum of these parts from the instant on at which they apply, with the steps after it.

    `jumps` are the moments of events to come whose points decay: the first ends the course, and what follows is not
    kept.
    """
    end = min([*jumps, *(moment for moment, _ in steps[MAX_STEPS : MAX_STEPS + 1])], default=None)
    return Course(
        fsum([part for part in parts if not isinstance(part, Decaying)]),
        tuple([part for part in parts if isinstance(part, Decaying)]),
        tuple([step for step in steps[:MAX_STEPS] if end is None or step[0] < end]),
        None if end is None else moment_of(end),
        tally,
    )
