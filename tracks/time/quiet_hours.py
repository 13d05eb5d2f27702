"""When a message may be sent: outside the quiet hours, inside its window, in the contact's time zone.

Both are spans between two local times. Each end is computed as an instant by `tracks.time.local_time`, so that a clock
change during the night neither repeats the quiet hours nor misses their end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tracks.time.local_time import WEEKDAYS, local_instant, zone_of

_DAY = timedelta(days=1)
_AHEAD = 9  # days: any weekday comes within a week, and a zone may skip a date
_TRIES = 64

Span = tuple[datetime, datetime]


class NeverOpenError(Exception):
    """Quiet hours and window together leave no moment for sending."""


def spans(day: date, start: time, end: time, zone: ZoneInfo) -> Span:
    """The span that begins on `day`, as instants (UTC). It ends on the next day if `end` is not later than `start`."""
    last = day if end > start else day + _DAY
    return local_instant(datetime.combine(day, start), zone), local_instant(datetime.combine(last, end), zone)


def quiet_until(now: datetime, zone: str | None, start: time, end: time, default: str = "UTC") -> datetime | None:
    """The end of the quiet hours if `now` is inside them; else None."""
    for begins, ends in _around(now, zone_of(zone, default), start, end):
        if begins <= now < ends:
            return ends
    return None


def window_opens(
    now: datetime,
    zone: str | None,
    start: time,
    end: time,
    weekdays: Collection[str] | None = None,
    default: str = "UTC",
) -> datetime:
    """`now` if it is inside the window, else the next opening. A weekday is the day on which a window begins."""
    days = frozenset(weekdays or WEEKDAYS)
    place = zone_of(zone, default)
    coming = []
    for begins, ends in _around(now, place, start, end, days):
        if begins <= now < ends:
            return now
        if begins > now:
            coming.append(begins)
    return min(coming)


def _around(
    now: datetime, zone: ZoneInfo, start: time, end: time, weekdays: Collection[str] = WEEKDAYS
) -> Iterator[Span]:
    today = now.astimezone(zone).date()
    for ahead in range(-2, _AHEAD):
        day = today + timedelta(days=ahead)
        if WEEKDAYS[day.weekday()] in weekdays:
            begins, ends = spans(day, start, end, zone)
            if begins < ends:  # else both ends fall into one clock gap and the span is empty
                yield begins, ends


def sendable_at(
    now: datetime,
    zone: str | None,
    quiet: tuple[time, time] | None,
    window: tuple[time, time, Collection[str] | None] | None,
    default: str = "UTC",
) -> datetime:
    """The first moment (UTC), `now` or later, outside the quiet hours and inside the window.

    Raises NeverOpenError if there is none.
    """
    moment = now = now.astimezone(UTC)
    for _ in range(_TRIES):
        before = moment
        if quiet is not None:
            moment = quiet_until(moment, zone, *quiet, default=default) or moment
        if window is not None:
            moment = window_opens(moment, zone, *window, default=default)
        if moment == before:
            return moment
    raise NeverOpenError
