"""A leaf about a date among the contact's attributes, by the days of the contact's own calendar.

A local day begins as `tracks.time.local_time` tells, also where clocks change at midnight. A contact without a time
zone lives in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator
from pydantic.json_schema import WithJsonSchema

from tracks.model.values import AttributeName, Model, wrong
from tracks.time.local_time import date_in_year, day_begins, local_date, local_day, zone_of

MAX_DAYS = 3_660
NOT_A_DATE = "not a date"
"""Why a leaf could not be computed: the attribute is there, and no date."""
_YEAR = 365
"""A span of so many days and today holds a day of every year."""
_DAYS = r"(\d{1,4})\s*([dw])"


class DaySpan(NamedTuple):
    """Days from `first` to `last`, both counted from today and both inside."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"next {self.last}d" if self.first == 0 else f"last {-self.first}d"


class Day(NamedTuple):
    """A day of the calendar, or one so many days after today."""

    after_today: int = 0
    fixed: date | None = None

    def __str__(self) -> str:
        if self.fixed is not None:
            return self.fixed.isoformat()
        if self.after_today == 0:
            return "today"
        return f"in {self.after_today}d" if self.after_today > 0 else f"{-self.after_today}d ago"


def _span(value: Any) -> DaySpan:
    if isinstance(value, DaySpan):
        return value
    match = re.fullmatch(rf"\s*(next|last)\s+{_DAYS}\s*", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise wrong("should be days from today on, such as next 30d, or until today, such as last 2w")
    days = _number_of_days(match[2], match[3])
    return DaySpan(0, days) if match[1] == "next" else DaySpan(-days, 0)


def _day(value: Any) -> Day:
    if isinstance(value, Day):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text == "today":
        return Day()
    if match := re.fullmatch(rf"in\s+{_DAYS}|{_DAYS}\s+ago", text, re.ASCII):
        ahead = _number_of_days(match[1], match[2]) if match[1] else -_number_of_days(match[3], match[4])
        return Day(ahead)
    try:
        return Day(0, date.fromisoformat(text))
    except ValueError:
        raise wrong("should be a day, such as today, in 30d, 30d ago or 2027-01-31") from None


def _number_of_days(number: str, unit: str) -> int:
    days = int(number) * (7 if unit == "w" else 1)
    if days > MAX_DAYS:
        raise wrong(f"is further from today than {MAX_DAYS:,} days")
    return days


def _bare(value: str) -> str:
    if value.startswith("contact."):
        raise wrong(f"is the name of an attribute: write {value.rpartition('.')[2] or 'renewal_date'}")
    return value


Span = Annotated[
    DaySpan,
    BeforeValidator(_span),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(next|last) \d+[dw]$", "examples": ["next 30d"]}),
]
SomeDay = Annotated[
    Day,
    BeforeValidator(_day),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["today", "in 30d", "30d ago", "2027-01-31"]}),
]


class DateLeaf(Model):
    """The day of a date among the contact's attributes lies within a span of days, or before or after a day."""

    date: Annotated[AttributeName, AfterValidator(_bare)]
    within: Span | None = None
    before: SomeDay | None = None
    """On an earlier day than this."""
    after: SomeDay | None = None
    """On a later day than this."""
    yearly: bool = False
    """The date comes every year; which year it says does not matter."""
    leap_day: Literal["28 feb", "1 mar"] | None = Field(
        None, description="when 29 February comes in a year that has none"
    )
    date_only: bool = False
    """Only year, month and day of the attribute count, whatever time and offset it has."""

    @model_validator(mode="after")
    def _has_one_meaning(self) -> Self:
        if (self.within is None) == (self.before is None and self.after is None):
            raise wrong("needs within, such as within: next 30d, or before and after, such as before: today")
        if self.yearly:
            if self.within is None:
                raise wrong("comes every year, before and after every day: write within, such as within: next 7d")
            if self.within.last - self.within.first >= _YEAR:
                raise wrong(f"comes every year: within has to be shorter than {_YEAR}d")
            if self.leap_day is None:
                raise wrong("comes every year: say when 29 February comes, leap_day: 28 feb or leap_day: 1 mar")
        elif self.leap_day is not None:
            raise wrong("has a leap_day, which is for dates that come every year: write yearly: true")
        if self._between_is_empty():
            raise wrong("can never be: no day lies after the one and before the other")
        return self

    def _between_is_empty(self) -> bool:
        if self.before is None or self.after is None or (self.before.fixed is None) != (self.after.fixed is None):
            return False
        if self.before.fixed is not None and self.after.fixed is not None:
            return (self.before.fixed - self.after.fixed).days < 2
        return self.before.after_today - self.after.after_today < 2


@dataclass(frozen=True, slots=True)
class Dated:
    """A leaf over one contact's attribute."""

    leaf: DateLeaf
    day: date | None
    """None: the leaf is false at any time."""
    why: str = ""
    """Why there is no day."""

    def holds(self, today: date) -> bool:
        """Whether the leaf is true on that day of the contact's calendar."""
        if self.day is None:
            return False
        years = (today.year - 1, today.year, today.year + 1) if self.leaf.yearly else (0,)
        return any(first <= today <= last for first, last in self._true_days(years))

    def changes(self, years: Collection[int]) -> Iterator[date]:
        """Days with which the leaf may begin or cease to be true; of a yearly date, those about these years."""
        if self.day is not None:
            for first, last in self._true_days(years if self.leaf.yearly else (0,)):
                yield first
                yield _moved(last, 1)

    def _true_days(self, years: Collection[int]) -> Iterator[tuple[date, date]]:
        """Spans of days, first and last, during which the leaf is true."""
        leaf, day = self.leaf, self.day
        assert day is not None
        if leaf.within is not None:
            for year in years:
                if not leaf.yearly:
                    yield _moved(day, -leaf.within.last), _moved(day, -leaf.within.first)
                elif date.min.year <= year <= date.max.year:
                    comes = _in_year(day, year, leaf.leap_day == "28 feb")
                    yield _moved(comes, -leaf.within.last), _moved(comes, -leaf.within.first)
            return
        first, last = date.min, date.max
        if leaf.before is not None:
            if leaf.before.fixed is None:
                first = _moved(day, 1 - leaf.before.after_today)
            elif day >= leaf.before.fixed:
                return
        if leaf.after is not None:
            if leaf.after.fixed is None:
                last = _moved(day, -1 - leaf.after.after_today)
            elif day <= leaf.after.fixed:
                return
        yield first, last


class Calendar:
    """The days of one contact's calendar."""

    def __init__(self, contact: Mapping[str, Any]) -> None:
        self._attributes: Mapping[str, Any] = contact.get("attributes") or {}
        self._zone: ZoneInfo = zone_of(contact.get("timezone"))

    def dated(self, leaf: DateLeaf) -> Dated:
        """The leaf over this contact's attribute."""
        value = self._attributes.get(leaf.date)
        day = local_date(value, self._zone, yearly=leaf.yearly, date_only=leaf.date_only)
        return Dated(leaf, day, "" if day is not None else "missing" if value is None else NOT_A_DATE)

    def day(self, now: datetime) -> date:
        """The local day at a moment."""
        return local_day(now, self._zone)

    def begins(self, day: date) -> datetime | None:
        """When a local day begins; None at the ends of the calendar."""
        return day_begins(day, self._zone)


@lru_cache(maxsize=20_000)
def _in_year(day: date, year: int, february: bool) -> date:
    return date_in_year(day, year, "feb-28" if february else "mar-1")


def _moved(day: date, days: int) -> date:
    """So many days later, within the calendar."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.min if days < 0 else date.max
