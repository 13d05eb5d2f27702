"""The Liquid filter `local_time`: a moment in the contact's time zone.

For a contact in New York, `{{ event_at | local_time | date: "%d %B, %H:%M" }}` prints 24 December, 21:00 where the
moment is 25 December, 02:00 UTC. `date` alone prints the moment in the zone in which it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps

from liquid import Environment, Markup, RenderContext
from liquid.filter import with_context

from tracks.time.local_time import zone_of

ZONE = "_zone"
"""The name under which Liquid finds the contact's zone; no variable can be declared with this name."""
NOW = "_now"
"""The name under which Liquid finds the current time on the run's clock."""
_SECONDS = re.compile(r"\d{9,11}", re.ASCII)
"""Seconds since 1970 as a text, as in CSV files. A text with fewer digits is a date or a year."""
_ZULU = re.compile(r" ?(UTC|GMT)$")


@with_context
def local_time(value: object, *, context: RenderContext) -> object:
    """The moment in the contact's zone, or in the track's zone where the contact has none.

    A moment is an ISO 8601 datetime with an offset, seconds since 1970, or `now` on the run's clock. A date, or a time
    without an offset, is local already. The filter returns any other value unchanged, as `date` does.
    """
    place = zone_of(str(context.resolve(ZONE, default="UTC")))
    moment = _moment(value, context)
    if moment is None:
        return value
    try:
        return moment.astimezone(place) if moment.tzinfo is not None else moment.replace(tzinfo=place)
    except (OverflowError, ValueError):  # the first and last days of the calendar
        return value


def date_by_its_own_zone(date: Callable[..., object]) -> Callable[..., object]:
    """Liquid's `date` filter, correct for results of `local_time`, and printing nothing for a missing value.

    Liquid's own filter caches moments by their instant, so it would print the time of one zone for another zone.
    """

    @wraps(date)
    def dated(value: object, form: object = "", *, environment: Environment) -> object:
        if value is None:
            return ""
        if not isinstance(value, datetime) or not isinstance(form, str):
            return date(value, form, environment=environment)
        text = value.strftime(form)
        return Markup(text) if isinstance(form, Markup) else text

    return dated


def _moment(value: object, context: RenderContext) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if value in ("now", "today"):
        now = context.resolve(NOW, default=None)
        return now if isinstance(now, datetime) else datetime.now(UTC)
    try:
        if isinstance(value, str):
            text = value.strip()
            if _SECONDS.fullmatch(text):
                return datetime.fromtimestamp(int(text), UTC)
            return datetime.fromisoformat(_ZULU.sub("+00:00", text))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return None
