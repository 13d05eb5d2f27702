"""The fields that several resources share: identifiers, addresses, zones, free-form JSON."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from tracks.identifiers import looks_personal

_IDENTIFIER = r"[A-Za-z0-9_.:|=+@~-]+"
SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
_LOCALE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NAMES = 500


class Body(BaseModel):
    """The base of request bodies: a misspelt field is a mistake, not a field to be ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


def check_identifier(value: str) -> str:
    """An identifier that may stand in a workflow id: short, plain, and nothing personal.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not 1 <= len(value) <= 128:
        raise ValueError("must have 1 to 128 characters")
    if reason := looks_personal(value):
        raise ValueError(reason)
    if not re.fullmatch(_IDENTIFIER, value):
        raise ValueError("may contain letters, digits and _ . : | = + @ ~ - only")
    return value


def check_email(value: str) -> str:
    """An address in its normalised form; names under `.test` pass, for tests and demos.

    Raises:
        ValueError: saying what is wrong with it.
    """
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


def check_phone(value: str) -> str:
    """A phone number as E.164.

    Raises:
        ValueError: where it has no country code or cannot be a number.
    """
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        raise ValueError("must be a phone number with + and its country code, such as +41446681800") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is too short or too long for a phone number of that country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def check_zone(value: str) -> str:
    """The name of an IANA time zone.

    Raises:
        ValueError: where there is no such zone.
    """
    if value not in _zones():
        raise ValueError("is not an IANA time zone such as Europe/Zurich")
    return value


def check_locale(value: str) -> str:
    """A language tag, with hyphens.

    Raises:
        ValueError: where it does not look like one.
    """
    if len(value) > 35 or not _LOCALE.fullmatch(value):
        raise ValueError("must be a language tag such as en or de-CH")
    return value.replace("_", "-")


def check_object(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with a sane number of names.

    Raises:
        ValueError: past the bounds.
    """
    if len(value) > MAX_NAMES:
        raise ValueError(f"may have at most {MAX_NAMES} names")
    for name in value:
        if not 1 <= len(name) <= 200:
            raise ValueError("names must have 1 to 200 characters")
    return value


def check_moment(value: datetime) -> datetime:
    """A moment since 1970 in UTC; one in the future counts as now, because clocks differ.

    Raises:
        ValueError: before 1970.
    """
    if value < _EARLIEST:
        raise ValueError("must not lie before 1970")
    return min(value, datetime.now(UTC)).astimezone(UTC)


def check_event_name(value: str) -> str:
    """The name of an event: one printable line.

    Raises:
        ValueError: where it is empty, too long or has control characters.
    """
    if not 1 <= len(value) <= 200 or not value.isprintable() or value.strip() != value:
        raise ValueError("must be 1 to 200 printable characters without space around them")
    return value


def _plain(description: str, example: str, **schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, "examples": [example], **schema})


Identifier = Annotated[
    str,
    AfterValidator(check_identifier),
    _plain(
        "An id of your own that says nothing about the person: no email address, no phone number.",
        "user_1042",
        minLength=1,
        maxLength=128,
        pattern=f"^{_IDENTIFIER}$",
    ),
]
Email = Annotated[
    str, AfterValidator(check_email), _plain("Email address.", "ada@example.com", format="email", maxLength=254)
]
Phone = Annotated[
    str, AfterValidator(check_phone), _plain("Phone number with its country code; kept as E.164.", "+41446681800")
]
Zone = Annotated[str, AfterValidator(check_zone), _plain("IANA time zone.", "Europe/Zurich")]
Locale = Annotated[str, AfterValidator(check_locale), _plain("Language tag (BCP 47).", "de-CH", maxLength=35)]
Object = Annotated[dict[str, Any], AfterValidator(check_object)]
Moment = Annotated[AwareDatetime, AfterValidator(check_moment)]
EventName = Annotated[
    str,
    AfterValidator(check_event_name),
    _plain("What happened.", "trial.started", minLength=1, maxLength=200),
]
EventId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Your id of this event: sent again with the same id, it counts once.",
        examples=["evt_01JD3W7C5N"],
    ),
]
