"""Moments by a contact's own clock: computed in the IANA zone at the target date, never at now.

One rule covers daylight-saving changes: a local time means *the first instant at which the wall clock shows
that time or a later one on its way there*. In a gap that is the first instant after it; in an overlap, the
first of the two.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def zone_of(name: str | None, default: str = "UTC") -> ZoneInfo:
    """The zone of that IANA name; the default where it is missing or unknown (one bad contact stays one)."""
    for candidate in (name, default):
        if candidate:
            try:
                return ZoneInfo(candidate)
            except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder
                continue
    return ZoneInfo("UTC")


def is_zone(name: str) -> bool:
    """Whether `name` is a zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return bool(name)


def local_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant (UTC) at which clocks in `zone` show `wall` (naive) or have jumped past it.

    Raises OverflowError at the ends of the calendar.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return first
    # A gap. fold=1 counts with the offset after the change and so lies before it; fold=0 lies after it.
    low = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    high = first
    while high - low > _SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high


def next_local(now: datetime, zone: str | None, at: time | None, weekdays: Collection[str] | None) -> datetime:
    """The first moment (UTC), `now` or later, that is `at` o'clock on one of `weekdays` in `zone`.

    Without `weekdays` any day will do. Without `at` the whole day counts: `now` itself when today is one of
    them, else the start of the next such day. The weekday is the local one. An unknown zone counts as UTC.
    """
    place = zone_of(zone)
    now = now.astimezone(UTC)
    days = frozenset(weekdays) if weekdays else frozenset(WEEKDAYS)
    local = now.astimezone(place)
    if at is None and WEEKDAYS[local.weekday()] in days:
        return now
    # From the day before: a time in a gap across midnight comes true on the following date.
    for ahead in range(-1, 32):
        day = local.date() + timedelta(days=ahead)
        start = local_instant(datetime.combine(day, time()), place)
        if start.astimezone(place).date() != day:
            continue  # a date that this zone skipped as a whole
        moment = start if at is None else local_instant(datetime.combine(day, at), place)
        if moment >= now and WEEKDAYS[moment.astimezone(place).weekday()] in days:
            return moment
    raise ValueError(f"no such local time within a month: {at} on {sorted(days)} in {place.key}")


def date_moment(value: object, offset: timedelta, zone: str | None, at: time | None) -> datetime | None:
    """When a date among a contact's attributes, moved by `offset`, comes true (UTC); None if it is no date.

    `value` is a date (`2026-03-01`: local midnight), a datetime with an offset, or one without (local time),
    as text or as Python's own. Whole days of the offset move the local date, the rest is a span of time;
    `at` then replaces the time of day.
    """
    place = zone_of(zone)
    wall = _wall(value, place)
    if wall is None:
        return None
    days = offset // _DAY
    try:
        wall += timedelta(days=days)
        if at is not None:
            wall = datetime.combine(wall.date(), at)
        return local_instant(wall, place) + (offset - timedelta(days=days))
    except (OverflowError, ValueError):
        return None  # 0001-01-01 or 9999-12-31 moved off the calendar


def _wall(value: object, place: ZoneInfo) -> datetime | None:
    """The naive local time that the value names in `place`."""
    if isinstance(value, str):
        text = value.strip()
        if not _DATE.match(text):
            return None
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            return None
    if isinstance(value, datetime):
        try:
            return value.astimezone(place).replace(tzinfo=None, fold=0) if value.tzinfo else value
        except (OverflowError, ValueError):
            return None
    return datetime.combine(value, time()) if isinstance(value, date) else None
