"""What one rule adds to a score, at each moment: a constant or decaying points, with jumps where something happens.

Moments are instants of `audience.scores.points.decay`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from audience.scores.points.decay import Decaying, decaying

Part = float | Decaying


class Contribution(Protocol):
    """What a rule adds."""

    def part_at(self, moment: int) -> Part:
        """The points from that moment until the next jump."""

    def jumps(self, after: int) -> Iterable[int]:
        """The moments after this one at which another part applies, in any order."""

    def steps(self, after: int) -> Iterable[tuple[int, float]]:
        """The same moments, and the points that are added or taken away at each; nothing of points that decay."""

    def counted(self, moment: int) -> tuple[int, int]:
        """The events that give points at that moment, as the indexes of the first and after the last."""

    def reach(self, moment: int) -> tuple[float, float]:
        """Points that it is never below, and never above, from that moment on."""


def points_of(part: Part, moment: int) -> float:
    """The points of a part at a moment for which it applies."""
    return part.value_at(moment) if isinstance(part, Decaying) else part


def _ordered(one: float, other: float) -> tuple[float, float]:
    return (one, other) if one <= other else (other, one)


@dataclass(frozen=True)
class Constant:
    """The same points at any time."""

    points: float

    def part_at(self, moment: int) -> Part:
        return self.points

    def reach(self, moment: int) -> tuple[float, float]:
        return self.points, self.points

    def jumps(self, after: int) -> Iterable[int]:
        return ()

    def steps(self, after: int) -> Iterable[tuple[int, float]]:
        return ()

    def counted(self, moment: int) -> tuple[int, int]:
        return 0, 0


@dataclass(frozen=True)
class Whole:
    """Points that keep their worth, ever or for a span of time after their event."""

    points: float
    times: Sequence[int]
    within: int | None

    def part_at(self, moment: int) -> Part:
        begin, end = self.counted(moment)
        return self.points * (end - begin)

    def reach(self, moment: int) -> tuple[float, float]:
        begin, end = self.counted(moment)
        least = 0 if self.within is not None else end
        return _ordered(self.points * least, self.points * (len(self.times) - begin))

    def jumps(self, after: int) -> Iterable[int]:
        return (moment for moment, _ in self.steps(after))

    def steps(self, after: int) -> Iterable[tuple[int, float]]:
        times = self.times if self.within is not None else self.times[bisect_right(self.times, after) :]
        for at in times:
            if at > after:
                yield at, self.points
            if self.within is not None and at + self.within > after:
                yield at + self.within, -self.points

    def counted(self, moment: int) -> tuple[int, int]:
        end = bisect_right(self.times, moment)
        return (0 if self.within is None else bisect_right(self.times, moment - self.within)), end


@dataclass(frozen=True)
class Halving:
    """Points that lose half of their worth in each half-life."""

    points: float
    times: Sequence[int]
    half_life: int
    _sums: dict[int, Decaying] = field(default_factory=dict)
    """By the number of events."""

    def part_at(self, moment: int) -> Part:
        _, count = self.counted(moment)
        if count == 0:
            return 0.0
        if count not in self._sums:
            self._sums[count] = decaying(self.points, self.times[:count], self.half_life)
        return self._sums[count]

    def reach(self, moment: int) -> tuple[float, float]:
        begin = self.part_at(moment)
        coming = self.points * (len(self.times) - bisect_right(self.times, moment))
        return _ordered(0.0, points_of(begin, moment) + coming)

    def jumps(self, after: int) -> Iterable[int]:
        return self.times[bisect_right(self.times, after) :]

    def steps(self, after: int) -> Iterable[tuple[int, float]]:
        return ()

    def counted(self, moment: int) -> tuple[int, int]:
        return 0, bisect_right(self.times, moment)


@dataclass(frozen=True)
class Summed:
    """Points that lose half of their worth in each half-life, of which only the sum is known; none are to come."""

    sum: Decaying

    def part_at(self, moment: int) -> Part:
        return self.sum

    def reach(self, moment: int) -> tuple[float, float]:
        return _ordered(0.0, self.sum.value_at(moment))

    def jumps(self, after: int) -> Iterable[int]:
        return ()

    def steps(self, after: int) -> Iterable[tuple[int, float]]:
        return ()

    def counted(self, moment: int) -> tuple[int, int]:
        return 0, 0


@dataclass(frozen=True)
class Switching:
    """Points while something is true: it was so at the beginning, or not, and changes at each of the moments."""

    points: float
    at_first: bool
    changes: Sequence[int]

    def part_at(self, moment: int) -> Part:
        changed = bisect_right(self.changes, moment) % 2 == 1
        return self.points if changed != self.at_first else 0.0

    def reach(self, moment: int) -> tuple[float, float]:
        if not self.changes:
            return (self.points, self.points) if self.at_first else (0.0, 0.0)
        return _ordered(0.0, self.points)

    def jumps(self, after: int) -> Iterable[int]:
        return self.changes[bisect_right(self.changes, after) :]

    def steps(self, after: int) -> Iterable[tuple[int, float]]:
        for number, moment in enumerate(self.changes):
            if moment > after:
                yield moment, self.points if (number % 2 == 1) == self.at_first else -self.points

    def counted(self, moment: int) -> tuple[int, int]:
        return 0, 0
