"""Grades of a score: names for its ranges, such as cold, warm and hot, that do not flicker at their thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf
from typing import NamedTuple

from audience.scores.points.crossings import Range


@dataclass(frozen=True, slots=True)
class Grade:
    """A grade is entered at `enter` or above, and left below `leave`, which is not above `enter`.

    Both are minus infinity for the lowest grade.
    """

    name: str
    enter: float = -inf
    leave: float = -inf


class Passed(NamedTuple):
    """The grades on the way from one grade to another: those reached by rising, or lost by falling, in their order."""

    reached: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grades:
    """All grades of a score, from the lowest to the highest. Neither of their thresholds falls on the way."""

    all: Sequence[Grade]

    def grade_of(self, value: float, previous: str | None = None) -> str:
        """The grade of a value, for a contact who had that grade before.

        The higher of two: the highest grade that the value enters, and the highest that it does not leave among the
        previous grade and those below it. So a value that falls slowly and one that is looked at rarely end in the
        same grade. Without a previous grade, or with one that the score no longer has, only `enter` counts.
        """
        before = self._places.get(previous or "", 0)
        for place in range(len(self.all) - 1, 0, -1):
            grade = self.all[place]
            if grade.enter <= value or (place <= before and grade.leave <= value):
                return grade.name
        return self.all[0].name

    def kept(self, name: str) -> Range:
        """The values at which a contact of this grade keeps it."""
        place = self._places[name]
        above = self.all[place + 1].enter if place + 1 < len(self.all) else inf
        return Range(self.all[place].leave, above)

    def passed(self, before: str, grade: str) -> Passed:
        """The grades on the way. `before` may be a grade that the score no longer has: then only `grade` is reached,
        since it is not known which of the others are above `before`."""
        now, then = self._places[grade], self._places.get(before)
        names = [one.name for one in self.all]
        if then is None:
            return Passed(reached=(grade,) if now > 0 else ())
        return Passed(tuple(names[then + 1 : now + 1]), tuple(names[now + 1 : then + 1]))

    @cached_property
    def thresholds(self) -> Sequence[float]:
        """All values at which a grade is entered or left."""
        return sorted({limit for grade in self.all[1:] for limit in (grade.enter, grade.leave)})

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {grade.name: place for place, grade in enumerate(self.all)}


def out_of_order(grades: Sequence[Grade]) -> list[tuple[Grade, Grade]]:
    """Neighbours, the lower first, of which the higher is left only below the lower one. `grades` are in order."""
    return [(lower, higher) for lower, higher in pairwise(grades) if higher.leave < lower.leave]
