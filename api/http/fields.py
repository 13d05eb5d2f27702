"""The fields that several resources share: identifiers, addresses, zones, free-form JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from store.runs.events.future_events import LONGEST, TOLERANCE
from tracks.contacts.contact_fields import Email as Email
from tracks.contacts.contact_fields import Identifier as Identifier
from tracks.contacts.contact_fields import Locale as Locale
from tracks.contacts.contact_fields import Object as Object
from tracks.contacts.contact_fields import ObjectKey as ObjectKey
from tracks.contacts.contact_fields import Phone as Phone
from tracks.contacts.contact_fields import Zone as Zone
from tracks.contacts.contact_fields import check_any_email as check_any_email
from tracks.contacts.contact_fields import check_email as check_email
from tracks.contacts.contact_fields import check_identifier as check_identifier
from tracks.contacts.contact_fields import check_locale as check_locale
from tracks.contacts.contact_fields import check_object as check_object
from tracks.contacts.contact_fields import check_phone as check_phone
from tracks.contacts.contact_fields import check_zone as check_zone
from tracks.contacts.contact_fields import plain

SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
_WRITTEN = re.compile(r"\s*\d{4}-\d\d-\d\d[Tt _]\d")
_PRINTABLE_LINE = r"^[^\u0000-\u0020\u007f-\u00a0]([^\u0000-\u001f\u007f-\u00a0]*[^\u0000-\u0020\u007f-\u00a0])?$"
"""No control characters, no space at either end. Schema readers share no pattern for other unprintable characters."""
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Body(BaseModel):
    """The base of request bodies. Unknown fields are refused, so a misspelt field is not silently ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


def check_written(value: object) -> object:
    """Require a moment written as text. Numbers are refused: 0 would be 1970, and seconds may be mistaken for
    milliseconds.

    Raises:
        ValueError: if it is no text that begins with a date and a time.
    """
    if isinstance(value, datetime) or (isinstance(value, str) and _WRITTEN.match(value)):
        return value
    raise ValueError("must be a date and time with an offset, such as 2026-11-21T12:00:00Z")


def check_moment(value: datetime) -> datetime:
    """Return the moment in UTC. A moment in the future counts as now, because clocks differ.

    Raises:
        ValueError: before 1970.
    """
    if value < _EARLIEST:
        raise ValueError("must not lie before 1970")
    return min(value, datetime.now(UTC)).astimezone(UTC)


def check_event_moment(value: datetime) -> datetime:
    """Return the moment in UTC; one less than a minute ahead counts as now, because clocks differ.

    Raises:
        ValueError: before 1970, or more than 30 days ahead.
    """
    now = datetime.now(UTC)
    if value > now + LONGEST:
        raise ValueError(f"must not lie more than {LONGEST.days} days ahead")
    return value.astimezone(UTC) if value > now + TOLERANCE else check_moment(value)


def check_event_name(value: str) -> str:
    """Require an event name of one printable line.

    Raises:
        ValueError: if it is empty, too long or has control characters.
    """
    if not 1 <= len(value) <= 200 or not value.isprintable() or value.strip() != value:
        raise ValueError("must be 1 to 200 printable characters without space around them")
    return value


WrittenMoment = Annotated[AwareDatetime, BeforeValidator(check_written)]
"""A moment with an offset from UTC."""
Moment = Annotated[WrittenMoment, AfterValidator(check_moment)]
EventMoment = Annotated[WrittenMoment, AfterValidator(check_event_moment)]
"""When an event happened, or will happen."""
EventName = Annotated[
    str,
    AfterValidator(check_event_name),
    plain("What happened.", "trial.started", minLength=1, maxLength=200, pattern=_PRINTABLE_LINE),
]
EventId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Your id of this event. An event sent again with the same id counts once.",
        examples=["evt_01JD3W7C5N"],
    ),
]
