"""Moments by a contact's own clock: computed in the IANA zone at the target date, never at now.

One rule covers daylight-saving changes: a local time means *the first instant at which the wall clock shows
that time or a later one on its way there*. In a gap that is the first instant after it; in an overlap, the
first of the two.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from typing import Literal
from zoneinfo import ZoneInfo

from tracks.time.durations import Shift

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAY_OF_YEAR = re.compile(r"--(\d{2})-?(\d{2})", re.ASCII)
_YEAR = re.compile(r"^\d{4}(?=-)", re.ASCII)
_LEAP_YEAR = 2000

NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files among the zone files that are no zones: a placeholder, the machine's own zone, and a copy of New York."""
ZONES = frozenset((files("tzdata") / "zones").read_text().split()) - NO_ZONES
"""The names of the IANA database. A machine's zone files have more: `posix/…`, and `right/…` with leap seconds."""


def zone_of(name: str | None, default: str = "UTC") -> ZoneInfo:
    """The zone with this IANA name, or the default if it is missing or unknown: bad data affects one contact only."""
    for candidate in (name, default):
        if candidate and candidate.rpartition("/")[2] not in NO_ZONES:
            try:
                return ZoneInfo(candidate)
            except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder
                continue
    return ZoneInfo("UTC")


def is_zone(name: str) -> bool:
    """Whether `name` is a zone of the IANA database."""
    return name in ZONES


def local_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant (UTC) at which clocks in `zone` show `wall` (naive), or have jumped past it.

    Raises OverflowError at the ends of the calendar.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return first
    # A gap. fold=1 uses the offset after the change, which gives an instant before the gap; fold=0 gives one after it.
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

    Without `weekdays`, every day counts. Without `at`, the whole day counts: the result is `now` if today is one of
    the weekdays, else the start of the next such day. The weekday is the local one. An unknown zone counts as UTC.
    """
    place = zone_of(zone)
    now = now.astimezone(UTC)
    days = frozenset(weekdays) if weekdays else frozenset(WEEKDAYS)
    local = now.astimezone(place)
    if at is None and WEEKDAYS[local.weekday()] in days:
        return now
    # Starts a day early: a time in a gap that crosses midnight falls on the following date.
    for ahead in range(-1, 32):
        day = local.date() + timedelta(days=ahead)
        start = local_instant(datetime.combine(day, time()), place)
        if start.astimezone(place).date() != day:
            continue  # a date that this zone skipped as a whole
        moment = start if at is None else local_instant(datetime.combine(day, at), place)
        if moment >= now and WEEKDAYS[moment.astimezone(place).weekday()] in days:
            return moment
    raise ValueError(f"no such local time within a month: {at} on {sorted(days)} in {place.key}")


def local_day(now: datetime, zone: ZoneInfo) -> date:
    """The latest local day that has begun. A day begins at the instant that `day_begins` tells, also where clocks are
    set back over midnight: then it goes on, although clocks show the day before once more.
    """
    local, before = now.astimezone(zone), (now - _DAY).astimezone(zone)
    day = local.date()
    if _offset(before) <= _offset(local):
        return day  # clocks were not set back lately: they have shown no later day
    after = date.fromordinal(min(day.toordinal() + 1, date.max.toordinal()))
    begins = day_begins(after, zone)
    return after if begins is not None and begins <= now else day


def day_begins(day: date, zone: ZoneInfo) -> datetime | None:
    """The first instant (UTC) of a local day; of a day that the zone skipped, that of the next one.

    None at the ends of the calendar.
    """
    try:
        return local_instant(datetime.combine(day, time()), zone)
    except OverflowError:
        return None


def local_date(value: object, zone: ZoneInfo, *, yearly: bool = False, date_only: bool = False) -> date | None:
    """The local day of a date among a contact's attributes, read as in `date_moment`; None if the value is no date.

    With `yearly`, it is read as in `next_yearly`: the year of the result means nothing.
    """
    wall = _wall(value, zone, date_only)
    if wall is None and yearly:
        wall = _wall(_of_leap_year(value), zone, date_only) or _without_year(value)
    return None if wall is None else wall.date()


def date_in_year(day: date, year: int, leap_day: Literal["feb-28", "mar-1"]) -> date:
    """The same day of another year; 29 February is moved as told where that year has none."""
    return _in_year(datetime.combine(day, time()), year, leap_day).date()


def date_moment(
    value: object, offset: Shift, zone: str | None, at: time | None, *, date_only: bool = False
) -> datetime | None:
    """The moment (UTC) of a date among a contact's attributes, moved by `offset`; None if the value is no date.

    `value` is a date (`2026-03-01`: local midnight), a datetime with an offset, or one without (local time), as a text
    or as a Python object. The days of the offset move the local date; the rest of the offset is a span of time. `at`
    then replaces the time of day. With `date_only`, only the date counts, as it is written.
    """
    place = zone_of(zone)
    wall = _wall(value, place, date_only)
    return None if wall is None else _moved(wall, offset, place, at)


def next_yearly(
    value: object,
    offset: Shift,
    zone: str | None,
    at: time | None,
    now: datetime,
    leap_day: Literal["feb-28", "mar-1"],
    *,
    date_only: bool = False,
) -> datetime | None:
    """The next yearly occurrence of a date (UTC), more than a second after `now`. None if the value is no date.

    The year of `value` is ignored. It may be missing (`--02-29`, or `--0229` as in vCards), or be a year without that
    day (`2027-02-29`, `0000-02-29`). A run's clock is rounded; the extra second keeps a run that has just waited for
    an occurrence from finding the same one again.
    """
    place = zone_of(zone)
    wall = _wall(value, place, date_only) or _wall(_of_leap_year(value), place, date_only) or _without_year(value)
    if wall is None:
        return None
    try:
        first = (now.astimezone(place) - timedelta(days=offset.days) - offset.span).year - 1
    except OverflowError:
        return None
    for year in range(first, first + 4):
        moment = _moved(_in_year(wall, year, leap_day), offset, place, at) if 1 <= year <= 9999 else None
        if moment is not None and moment > now + _SECOND:
            return moment
    return None


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta(0)


def _moved(wall: datetime, offset: Shift, place: ZoneInfo, at: time | None) -> datetime | None:
    """The moment at this distance from a local time; None outside of the calendar."""
    try:
        wall += timedelta(days=offset.days)
        if at is not None:
            wall = datetime.combine(wall.date(), at)
        return local_instant(wall, place) + offset.span
    except (OverflowError, ValueError):
        return None  # 0001-01-01 or 9999-12-31, moved outside of the calendar


def _in_year(wall: datetime, year: int, leap_day: str) -> datetime:
    try:
        return wall.replace(year=year)
    except ValueError:  # 29 February in a year that has none
        return wall.replace(year=year, day=28) if leap_day == "feb-28" else wall.replace(year=year, month=3, day=1)


def _of_leap_year(value: object) -> object:
    return _YEAR.sub(str(_LEAP_YEAR), value.strip()) if isinstance(value, str) else value


def _without_year(value: object) -> datetime | None:
    found = _DAY_OF_YEAR.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        return datetime.combine(date(_LEAP_YEAR, int(found[1]), int(found[2])), time()) if found else None
    except ValueError:
        return None


def _wall(value: object, place: ZoneInfo, date_only: bool) -> datetime | None:
    """The naive local time in `place` that the value stands for."""
    if isinstance(value, str):
        text = value.strip()
        if not _DATE.match(text):
            return None
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            return None
    if isinstance(value, datetime) and not date_only:
        try:
            return value.astimezone(place).replace(tzinfo=None, fold=0) if value.tzinfo else value
        except (OverflowError, ValueError):
            return None
    return datetime.combine(value, time()) if isinstance(value, date) else None
