"""Leaves about a property of events: its sum, average, smallest or largest value, or how many values it has.

Numbers are added and compared in decimal, as they are written: 0.1 + 0.2 is 0.3.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import lcm
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from audience.facts import Fact
from audience.segments.leaves.comparisons import MAX_TIMES, Comparing
from audience.segments.leaves.counted_events import Counted
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT
from tracks.model.values import Duration, EventName, Short, wrong
from tracks.shared.numbers import number_of

_PROPERTIES = "event.properties."


def _property(value: str) -> str:
    if not re.fullmatch(r"[^\s.]+(\.[^\s.]+)*", value):
        raise wrong(f"'{value}' should be the name of a property, such as total, or its path, such as cart.total")
    return value


Property = Annotated[Short, AfterValidator(_property)]
"""An event and its property, `order.paid.total`; or, beside `of`, a property or the path to one within others."""


class Aggregate(Counted):
    """What all of these leaves have. The field that names the kind holds the property."""

    of: EventName | None = None
    is_: Comparing = Field(alias="is", description="a comparison, such as '> 500'")
    within: Duration | None = None

    def naming_problem(self) -> str | None:
        """Whether both the event and the property are named, and the event is one that may be counted."""
        written: str = getattr(self, self.kind)
        if self.of is None and ("." not in written or written.startswith(_PROPERTIES)):
            example = f"{{{self.kind}: total, of: order.paid}}"
            return f"names no event: write {self.kind}: order.paid.total, or {example}"
        if self.event in (ENTERED, LEFT, GRADED):
            return "segments and scores cannot be about entering or leaving segments, or about changes of grades"
        return None

    @property
    def event(self) -> str:
        """The name of the event. Without `of`, the last dot separates it from the property."""
        written: str = getattr(self, self.kind)
        return written.rpartition(".")[0] if self.of is None else self.of

    @property
    def path(self) -> Sequence[str]:
        """The names that lead to the property."""
        written: str = getattr(self, self.kind)
        return [written.rpartition(".")[2]] if self.of is None else written.removeprefix(_PROPERTIES).split(".")


class Sum(Aggregate):
    """The sum; 0 over no events."""

    kind = "sum"
    sum: Property


class Average(Aggregate):
    """The arithmetic mean. False over no events, whatever it is compared with."""

    kind = "average"
    average: Property


class Minimum(Aggregate):
    """The smallest value. False over no events."""

    kind = "minimum"
    minimum: Property


class Maximum(Aggregate):
    """The largest value. False over no events."""

    kind = "maximum"
    maximum: Property


class Distinct(Aggregate):
    """How many values there are: texts, numbers, true and false. 0 over no events."""

    kind = "distinct"
    distinct: Property

    @model_validator(mode="after")
    def _may_differ(self) -> Self:
        if len({self.is_.holds(count) for count in range(MAX_TIMES + 2)}) == 1:
            raise wrong(f"is: '{self.is_}' is {'always' if self.is_.holds(0) else 'never'} true up to {MAX_TIMES:,}")
        return self


AGGREGATES: Mapping[str, type[Aggregate]] = {one.kind: one for one in (Sum, Average, Minimum, Maximum, Distinct)}


class Values:
    """The values of a leaf's property, in the order of their events, and what holds of any run of them."""

    def __init__(self, leaf: Aggregate, events: Sequence[Fact]) -> None:
        """`events` are those that the leaf is about, by time."""
        read = [(fact, _value(leaf, fact)) for fact in events]
        self.events = [fact for fact, value in read if value is not None]
        self._left_out = [fact.at for fact, value in read if value is None]
        self._leaf = leaf
        values = [value for _, value in read if value is not None]
        if isinstance(leaf, Distinct):
            last: dict[Hashable, int] = {}
            self._before: list[int] = []
            for index, value in enumerate(values):
                self._before.append(last.get(value, -1))
                last[value] = index
            return
        # Whole numbers of the smallest part that all have in common are added exactly, and fast.
        ratios: list[tuple[int, int]] = [value for value in values if isinstance(value, tuple)]
        number = leaf.is_.number
        self._scale = lcm(number.denominator, *(below for _, below in ratios))
        self._number = number.numerator * (self._scale // number.denominator)
        self._values = [above * (self._scale // below) for above, below in ratios]
        self._sums = [0, *accumulate(self._values)]
        self._below = [0, *accumulate(value < self._number for value in self._values)]
        self._above = [0, *accumulate(value > self._number for value in self._values)]

    def hold(self, begin: int, end: int) -> bool:
        """Whether the leaf is true of the events from `begin` until before `end`."""
        comparison, count = self._leaf.is_, end - begin
        match self._leaf:
            case Distinct():
                return comparison.holds(self._different(begin, end))
            case Sum():
                return comparison.holds_by(self._sums[end] - self._sums[begin] - self._number)
            case _ if count == 0:
                return False
            case Average():
                return comparison.holds_by(self._sums[end] - self._sums[begin] - self._number * count)
        below = self._below[end] - self._below[begin]
        above = self._above[end] - self._above[begin]
        # The smallest is below the number if any is, and above it only if all are; the largest likewise.
        if isinstance(self._leaf, Minimum):
            return comparison.holds_by(-1 if below else int(above == count))
        return comparison.holds_by(1 if above else -int(below == count))

    def value(self, begin: int, end: int) -> int | float | None:
        """The aggregate itself; None over no events where there is none."""
        match self._leaf:
            case Distinct():
                return self._different(begin, end)
            case Sum():
                return self._plain(Fraction(self._sums[end] - self._sums[begin]))
            case _ if begin == end:
                return None
            case Average():
                return self._plain(Fraction(self._sums[end] - self._sums[begin], end - begin))
            case Minimum():
                return self._plain(Fraction(min(self._values[begin:end])))
        return self._plain(Fraction(max(self._values[begin:end])))

    def left_out(self, now: datetime) -> int:
        """How many events until now were not counted, because their property is missing, or not of the right type."""
        within = self._leaf.within
        begin = 0 if within is None else bisect_right(self._left_out, now - within)
        return max(bisect_right(self._left_out, now) - begin, 0)

    def _plain(self, scaled: Fraction) -> int | float:
        value = scaled / self._scale
        try:
            return value.numerator if value.denominator == 1 else float(value)
        except OverflowError:  # beyond a float, where the part after the point says nothing
            return round(value)

    def _different(self, begin: int, end: int) -> int:
        """A value counts at its first event of the run."""
        return sum(before < begin for before in self._before[begin:end])


def _value(leaf: Aggregate, fact: Fact) -> Hashable:
    """The value, such that equal ones are equal here; a number as a ratio of whole numbers. None if it is left out."""
    value: Any = fact.properties
    for name in leaf.path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    if isinstance(leaf, Distinct):
        return (isinstance(value, bool), value) if isinstance(value, str | int | float) else None
    try:
        return Decimal(str(number_of(value))).as_integer_ratio()
    except ValueError:
        return None
