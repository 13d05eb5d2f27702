"""The first moment at which a sum of constants and decaying points leaves a range.

Between two events, a score is such a sum. It is monotone if all decaying points have one sign. Otherwise it has
turning points, at most one fewer than there are half-lives. They are found first; then bisection finds the crossing
on the stretches between them, where the sum is monotone. Where there is one half-life, the closed form tells where to
begin.

**Precision.** A crossing is found on the grid of whole microseconds, with the same arithmetic that tells the score at
a moment. So it is the first microsecond at which `Curve.value_at` is outside of the range. Only a sum that touches
the limit by less than its own rounding (some 2^-50 of its largest part) can be taken for one that crosses it, or for
one that does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp2, fsum

from audience.scores.points.decay import LAST, Decaying

_WORN_OFF = 1_200
"""After so many half-lives nothing is left: a float has no number between 0 and 2^-1074."""

_Term = tuple[float, float]
"""A weight, and a rate in halvings a microsecond."""


@dataclass(frozen=True, slots=True)
class Range:
    """`low` belongs to the range and `high` does not."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value is inside."""
        return self.low <= value < self.high


@dataclass(frozen=True, slots=True)
class Curve:
    """A sum of constants and decaying points, from the newest of its moments on."""

    constants: Sequence[float]
    decaying: Sequence[Decaying]

    def value_at(self, moment: int) -> float:
        """The sum, rounded once. It does not depend on the order of its parts."""
        return fsum([*self.constants, *(part.value_at(moment) for part in self.decaying)])

    def leaves(self, inside: Range, start: int, end: int | None) -> int | None:
        """The first microsecond from `start` until just before `end` at which the sum is outside of the range."""
        if not inside.holds(self.value_at(start)):
            return start
        worn_off = start + _WORN_OFF * max((part.half_life for part in self.decaying), default=0)
        last = min(worn_off, LAST if end is None else end - 1)
        if last <= start or self._stays(inside, start, last):
            return None
        for begin, finish in pairwise(sorted({start, *self._turning_points(start, last), last})):
            if not inside.holds(self.value_at(finish)):
                return self._first_outside(inside, begin, finish)
        return None

    def _stays(self, inside: Range, start: int, last: int) -> bool:
        """Whether no value between can be outside: all that grows and all that falls, taken at its extremes."""
        early = [part.value_at(start) for part in self.decaying]
        late = [part.value_at(last) for part in self.decaying]
        least = fsum([*self.constants, *map(min, early, late)])
        most = fsum([*self.constants, *map(max, early, late)])
        return inside.low <= least and most < inside.high

    def _turning_points(self, start: int, last: int) -> Iterable[int]:
        """Microseconds before and after each moment at which the sum stops rising or falling."""
        slopes: dict[int, float] = {}
        for part in self.decaying:
            slopes[part.half_life] = slopes.get(part.half_life, 0.0) + part.value_at(start) / part.half_life
        slowest_first = sorted(slopes.items(), reverse=True)
        return _sign_changes([(slope, 1 / half_life) for half_life, slope in slowest_first], start, last)

    def _first_outside(self, inside: Range, begin: int, finish: int) -> int:
        """By bisection: inside at `begin`, outside at `finish`, monotone between."""
        guess = self._closed_form(inside, begin, finish)
        near = [] if guess is None else [guess - 4, guess + 4]
        while finish - begin > 1:
            middle = near.pop() if near else (begin + finish) // 2
            if not begin < middle < finish:
                continue
            if inside.holds(self.value_at(middle)):
                begin = middle
            else:
                finish = middle
        return finish

    def _closed_form(self, inside: Range, begin: int, finish: int) -> int | None:
        """Where the crossing is, up to rounding, if there is one half-life; otherwise None."""
        half_lives = {part.half_life for part in self.decaying}
        if len(half_lives) != 1:
            return None
        limit = inside.low if self.value_at(finish) < inside.low else inside.high
        whole = Decaying(fsum(part.value_at(begin) for part in self.decaying), begin, half_lives.pop())
        found = whole.reaches(limit - fsum(self.constants))
        return None if found is None else round(found)


def _sign_changes(terms: Sequence[_Term], start: int, last: int) -> list[int]:
    """Microseconds before and after each zero of Σ w · 2^(-(t - start) · r); rates rise from term to term.

    A sum whose weights have one sign has none. Divided by its slowest term, it is a constant and a faster sum; between
    two zeros of that quotient lies a zero of its derivative (Rolle), which is such a sum with one term fewer. So the
    zeros of the shorter sum separate those of the longer one.
    """
    weights = [(weight, rate) for weight, rate in terms if weight != 0]
    if len({weight > 0 for weight, _ in weights}) < 2:
        return []
    slowest = weights[0][1]
    found: list[int] = []
    separators = _sign_changes([(weight * (rate - slowest), rate) for weight, rate in weights[1:]], start, last)

    def positive(moment: int) -> bool:
        return fsum(weight * exp2((start - moment) * (rate - slowest)) for weight, rate in weights) > 0

    for begin, finish in pairwise(sorted({start, *separators, last})):
        before = positive(begin)
        if before != positive(finish):
            while finish - begin > 1:
                middle = (begin + finish) // 2
                begin, finish = (middle, finish) if positive(middle) == before else (begin, middle)
            found += [begin, finish]
    return found
