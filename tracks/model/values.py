"""The small values in a track, such as durations and times: strict reading, and one canonical form for writing."""

from __future__ import annotations

import re
from datetime import time, timedelta
from email.utils import parseaddr
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from tracks.conditions.conditions import check, reads
from tracks.contacts.contact_fields import domain_form
from tracks.model import liquid_texts
from tracks.shared.numbers import number_of
from tracks.time.durations import Shift, format_duration, format_shift, parse_duration, parse_shift
from tracks.time.local_time import is_zone

SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
STEP_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class Model(BaseModel):
    """A frozen part of a track; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


PUBLISHED = {"published": True}
"""The context for reading a track that is published already: rules that became stricter later do not apply to it."""


def _published(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("published"))


def wrong(message: str) -> PydanticCustomError:
    """An error whose message already says how to write it correctly."""
    return PydanticCustomError("perennial", "{message}", {"message": message})


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, str):
        unit = f"; did you mean {value}d?" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise wrong(f"needs a unit, such as 90s, 15m, 36h, 2d or 1w{unit}")
    if "{{" in value or "{%" in value:
        raise wrong(
            f"'{value[:40]}' is Liquid, not a duration: write one such as 2d, or {{days: …, missing: …}} for a length "
            "that is computed from data, or use wait_date for a date among the contact's attributes"
        )
    try:
        return parse_duration(value)
    except ValueError as error:
        raise wrong(str(error)) from None


def _shift(value: Any) -> Shift:
    if isinstance(value, Shift):
        return value
    span = _duration(value)
    if isinstance(value, str):
        return parse_shift(value)
    days = int(span / timedelta(days=1))  # rounds toward zero
    return Shift(days, span - timedelta(days=days))


def _positive(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise wrong("must be longer than nothing, such as 15m or 2d")
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise wrong("must not be negative")
    return value


def _time(value: Any) -> time:
    if isinstance(value, time):
        return value
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", value.strip(), re.ASCII) if isinstance(value, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise wrong("is not a time of day; write hours and minutes, such as '09:00' or '17:30'")
    return time(int(match[1]), int(match[2]))


def _zone(value: str, info: ValidationInfo) -> str:
    if not is_zone(value) and not _published(info):
        raise wrong(f"'{value}' is not an IANA time zone, such as Europe/Berlin")
    return value


def _mailbox(value: str, info: ValidationInfo) -> str:
    _, address = parseaddr(value)
    local, _, domain = address.rpartition("@")
    if not domain.isascii() and (form := _ascii_domain(domain)):
        raise wrong(f"has the domain {domain}: write it as mail systems know it, {form}")
    if not re.fullmatch(r"[^\s@<>]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", address) or "\n" in value:
        raise wrong("is not a mailbox; write 'Ada <ada@acme.test>' or ada@acme.test")
    odd = next((letter for letter in local if not "!" <= letter <= "~"), None)
    if odd is not None and not _published(info):
        raise wrong(f"has {odd!r} before the @: no mail can be sent there or from there; write it in ASCII")
    return value


def _ascii_domain(domain: str) -> str:
    try:
        return domain_form(domain)
    except ValueError:
        return ""


def _sms_sender(value: str) -> str:
    if not re.fullmatch(r"\+[1-9]\d{6,14}|\d{3,8}|MG[0-9a-f]{32}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", value):
        raise wrong("is not an SMS sender; write a number such as '+15005550006' (in quotes) or a sender name")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/$.?#][^\s]*", value):
        raise wrong("is not a web address; write https://…")
    return value


def _liquid(value: str) -> str:
    if problem := liquid_texts.syntax_problem(value):
        raise wrong(problem)
    return value


def _amount(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and "{" in value:
        return _liquid(value)
    try:
        number_of(value)
    except ValueError:
        if not (isinstance(value, str) and _published(info)):
            raise wrong("should be a number, such as 10 or -2.5, or Liquid that computes one") from None
    return value


def _attribute(value: str, info: ValidationInfo) -> str:
    if ("{{" in value or "{%" in value) and not _published(info):
        raise wrong("is the name of an attribute, not Liquid; write trial_ends_on")
    return value


def _number_expression(value: Any, info: ValidationInfo) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong(f"is computed from data; for a fixed length write wait: {value:g}d")
    if not isinstance(value, str):
        raise wrong("should be an expression in quotes, such as 'enrollment.properties.usage_days - 5'")
    if "{{" in value or "{%" in value:
        raise wrong("is CEL, not Liquid; write 'enrollment.properties.usage_days - 5'")
    names = ("contact", "enrollment", "now")
    if not _published(info) and (problems := check(value, names, "number")):
        raise wrong("; ".join(problems))
    return value


def _condition(*names: str) -> AfterValidator:
    def judge(value: str, info: ValidationInfo) -> str:
        problems = [] if _published(info) else check(value, names)
        if problems:
            raise wrong("; ".join(problems))
        return value

    return AfterValidator(judge)


def _lasting(value: str) -> str:
    """What changes by time alone wakes nobody, and what reads nothing of the contact never changes."""
    paths = reads(value)
    if decaying := next((path for path in sorted(paths) if re.fullmatch(r"contact\.scores\..+\.value", path)), None):
        raise wrong(f"{decaying} changes by time alone: ask for the grade, which is told when it changes")
    if not any(path == "contact" or path.startswith("contact.") for path in paths):
        raise wrong("reads nothing of the contact, so it never changes: use a branch")
    return value


def _without_steps(value: str) -> str:
    if any(path == "enrollment.steps" or path.startswith("enrollment.steps.") for path in reads(value)):
        raise wrong("enrollment.steps is known to branches only: this is judged beside the data, not in the run")
    return value


_DURATION_SCHEMA = {"type": "string", "pattern": r"^-?(P.*|(\d+[wdhms] ?)+)$", "examples": ["15m", "2d", "1d12h"]}
_AnyDuration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
Offset = Annotated[
    Shift,
    BeforeValidator(_shift),
    PlainSerializer(format_shift, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""Calendar days and a span of time, positive or negative."""
Delay = Annotated[_AnyDuration, AfterValidator(_not_negative)]
"""Zero or longer."""
Duration = Annotated[_AnyDuration, AfterValidator(_positive)]
"""At least a second."""

LocalTime = Annotated[
    time,
    BeforeValidator(_time),
    PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d{2}$", "examples": ["09:00"]}),
]
Channel = Literal["email", "sms"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Zone = Annotated[str, AfterValidator(_zone)]

Slug = Annotated[str, StringConstraints(pattern=SLUG)]
StepId = Annotated[str, StringConstraints(pattern=STEP_ID)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=5_000)]
EVENT_NAME = object()
"""Marks fields that hold the name of an event (`tracks.static_analysis.model_fields`)."""
EventName = Annotated[Short, EVENT_NAME]
Mailbox = Annotated[str, StringConstraints(max_length=320), AfterValidator(_mailbox)]
SmsSender = Annotated[str, AfterValidator(_sms_sender)]
Url = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_url)]
LIQUID = object()
"""Marks fields that hold Liquid (`tracks.static_analysis.model_fields`)."""
Liquid = Annotated[str, StringConstraints(min_length=1, max_length=5_000), AfterValidator(_liquid), LIQUID]
AttributeName = Annotated[Short, AfterValidator(_attribute)]
"""The name of one of the contact's attributes."""
Amount = Annotated[int | float | str, BeforeValidator(_amount), LIQUID]
"""A number, or Liquid that computes one."""

EntryCondition = Annotated[str, _condition("contact", "event", "now")]
"""CEL over `contact`, `event`, `now`; there is no enrollment at that moment."""
Condition = Annotated[str, _condition("contact", "event", "enrollment", "now")]
"""CEL over `contact`, `event`, `enrollment`, `now`."""
EventCondition = Annotated[str, _condition("contact", "event", "enrollment", "now"), AfterValidator(_without_steps)]
"""As `Condition`, evaluated when an event is accepted; the outcomes of the run's steps are not available there."""
AwaitedCondition = Annotated[
    str, _condition("contact", "enrollment"), AfterValidator(_without_steps), AfterValidator(_lasting)
]
"""CEL over `contact` and `enrollment`, evaluated in the transaction that changes the contact."""
SendCondition = Annotated[str, _condition("contact", "enrollment", "now"), AfterValidator(_without_steps)]
"""CEL over `contact`, `enrollment`, `now`, evaluated in the database's transaction when a message is claimed."""
ContactCondition = Annotated[str, _condition("contact", "now")]
"""CEL over `contact` and `now` alone."""
PastEventCondition = Annotated[str, _condition("event", "now")]
"""CEL over an event that was accepted earlier."""


NumberExpression = Annotated[
    str,
    BeforeValidator(_number_expression),
    AfterValidator(_without_steps),
    WithJsonSchema({"type": "string", "maxLength": 1000, "examples": ["enrollment.properties.usage_days - 5"]}),
]
"""CEL over `contact`, `enrollment`, `now` that comes to a number; evaluated in the database, beside the data."""


class LocalSpan(Model):
    """Local hours of a day; may cross midnight."""

    from_: LocalTime = Field(alias="from")
    to: LocalTime

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.from_ == self.to:
            raise wrong("begins and ends at the same time, which would be all day or never")
        return self
