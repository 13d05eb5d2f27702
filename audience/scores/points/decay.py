"""Points that lose half of their worth in each half-life, kept as one value and its moment.

Exponential decay in forward form: the value at `t` of points p at moments tᵢ is Σ p · 2^(-(t - tᵢ)/h). The sum at one
moment gives it at every later one, so no job has to subtract points each night. G. Cormode, V. Shkapenyuk,
D. Srivastava, B. Xu: Forward Decay, ICDE 2009.

Moments and half-lives are whole microseconds; a moment counts from 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import exp2, fsum, log2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(span: timedelta) -> int:
    """A span of time as whole microseconds, exactly."""
    return span // _MICROSECOND


def instant(moment: datetime) -> int:
    """A moment as whole microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(at: int) -> datetime:
    """The inverse of `instant`, in UTC. Raises OverflowError outside of the calendar."""
    return _EPOCH + at * _MICROSECOND


LAST = instant(datetime.max.replace(tzinfo=UTC))
"""The end of the calendar."""


@dataclass(frozen=True, slots=True)
class Decaying:
    """Points whose sum was `value` at the moment `at`."""

    value: float
    at: int
    half_life: int

    def value_at(self, moment: int) -> float:
        """The sum at that moment, which is `at` or later."""
        return self.value * exp2((self.at - moment) / self.half_life)

    def plus(self, points: float, at: int) -> Decaying:
        """The sum with further points, given at that moment. It may be earlier than `at`: an event that comes late.

        The order in which points are added does not matter, up to rounding (2^-53 of the value at each step).
        """
        if at < self.at:
            return Decaying(self.value + points * exp2((at - self.at) / self.half_life), self.at, self.half_life)
        return Decaying(self.value_at(at) + points, at, self.half_life)

    def reaches(self, threshold: float) -> float | None:
        """The moment at which the sum is the threshold, up to rounding: at + h · log₂(value / threshold).

        None if it never is, or was so before `at`.
        """
        if threshold == 0 or self.value == 0 or self.value / threshold < 1:
            return None
        return self.at + self.half_life * log2(self.value / threshold)


def decaying(points: float, times: Sequence[int], half_life: int) -> Decaying:
    """Points that were given at each of these times, which are in order and not empty.

    The sum is rounded once, so that it depends on the times alone.
    """
    newest = times[-1]
    return Decaying(fsum(points * exp2((at - newest) / half_life) for at in times), newest, half_life)
