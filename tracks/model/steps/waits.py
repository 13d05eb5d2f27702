"""What the steps that wait are told: a local time, a date of the contact, an event. What follows is in `steps.py`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from tracks.model.values import (
    AttributeName,
    AwaitedCondition,
    Duration,
    EventCondition,
    EventName,
    LocalTime,
    Model,
    NumberExpression,
    Offset,
    StepId,
    Weekday,
    wrong,
)
from tracks.runs.bot_engagement import CLASSED, EVERYBODY, By
from tracks.time.durations import LONGEST, Shift

SHORTEST = timedelta(seconds=1)


REFUSED = "refused"
"""In place of a field where its value was wrong: then no other field is judged by it."""


class Until(Model):
    """A local time of day, a weekday, a day of the run, or several of these, in the contact's zone."""

    day: int | None = Field(
        None,
        ge=0,
        le=3_660,
        description="the day of the run, by the contact's calendar; 0 is the day of the enrolment, 1 the next day",
    )
    time: LocalTime | None = None
    weekdays: tuple[Weekday, ...] | None = Field(None, min_length=1)

    @field_validator("past", mode="before", check_fields=False)  # the field is in `steps.py`
    @classmethod
    def _past_with_a_day(cls, value: Any, info: ValidationInfo) -> Any:
        day = info.data.get("day", REFUSED)
        if isinstance(day, int) and value is None:
            raise PydanticKnownError("missing")
        if day is None and value is not None:
            raise wrong("is for a day of the run: a time or weekday alone always comes again; leave it out")
        return value

    @model_validator(mode="after")
    def _something(self) -> Until:
        if self.time is None and self.weekdays is None and self.day is None:
            raise wrong("needs a time, such as '09:00', or weekdays, such as [mon, tue], or a day of the run")
        return self


class ComputedLength(Model):
    """A length of time that is computed from the data of the contact and the enrolment."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["days"]}, {"required": ["hours"]}]})

    days: NumberExpression | None = Field(None, description="CEL that comes to a number of days of 24 hours")
    hours: NumberExpression | None = Field(None, description="CEL that comes to a number of hours")
    least: Duration | None = Field(None, description="a shorter length counts as this, such as 1d")
    most: Duration | None = Field(None, description="a longer length counts as this; ten years if left out")

    @model_validator(mode="after")
    def _one_unit_and_some_room(self) -> ComputedLength:
        if (self.days is None) == (self.hours is None):
            raise wrong("needs days or hours, and not both")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise wrong("has a least that is longer than its most")
        return self

    @property
    def written(self) -> tuple[str, timedelta]:
        """The expression, and the unit of its number."""
        if self.days is not None:
            return self.days, timedelta(days=1)
        assert self.hours is not None
        return self.hours, timedelta(hours=1)

    def bounded(self, number: float) -> timedelta | None:
        """The length of so many units, between `least` and `most`; None for a number that is no length.

        Nothing and less is no length: it would mean now (law 6).
        """
        if not 0 < number < float("inf"):
            return None
        most = self.most or LONGEST
        unit = self.written[1]
        length = most if number >= most / unit else unit * number
        return max(length, self.least or SHORTEST)


def date_schema(schema: dict[str, Any]) -> None:
    """Adds to the JSON Schema what a date requires: its source; a yearly one `feb_29`, any other `past`."""
    yearly = {"properties": {"every": {"const": "year"}}, "required": ["every"]}
    schema |= {"oneOf": [{"required": ["attribute"]}, {"required": ["property"]}]}
    schema |= {"if": yearly, "then": {"required": ["feb_29"]}, "else": {"required": ["past"]}}


def until_schema(schema: dict[str, Any]) -> None:
    """Adds to the JSON Schema that a day of the run requires `past`."""
    schema |= {"if": {"required": ["day"]}, "then": {"required": ["past"]}}


class ContactDate(Model):
    """A date among the contact's attributes or the enrolment's properties, and the moment that it gives."""

    attribute: AttributeName | None = Field(None, description="an attribute of the contact")
    property: AttributeName | None = Field(None, description="in place of attribute: a property of the enrolment")
    every: Literal["year"] | None = Field(
        None, description="the date comes every year, such as a birthday; which year it says does not matter"
    )
    feb_29: Literal["feb-28", "mar-1"] | None = Field(
        None,
        validate_default=True,
        description="when 29 February comes in a year that has none: feb-28 or mar-1",
    )
    date_only: bool = Field(
        False, description="only year, month and day of the attribute count, whatever time and offset it has"
    )
    offset: Offset = Field(
        default=Shift(),
        description="before (-7d) or after (1d) the date; days of the calendar, or hours",
        json_schema_extra={"default": "0s"},
    )
    time: LocalTime | None = Field(None, description="local time of day; a bare date counts from local midnight")

    @field_validator("feb_29", mode="before")
    @classmethod
    def _leap_day(cls, value: Any, info: ValidationInfo) -> Any:
        yearly = info.data.get("every", REFUSED)
        if yearly == "year" and value is None:
            raise PydanticKnownError("missing")
        if yearly is None and value is not None:
            raise wrong("is for dates that come every year: write every: year")
        return value

    @field_validator("past", mode="before", check_fields=False)  # the field is in `steps.py`
    @classmethod
    def _never_past(cls, value: Any, info: ValidationInfo) -> Any:
        yearly = info.data.get("every", REFUSED)
        if yearly is None and value is None:
            raise PydanticKnownError("missing")
        if yearly == "year" and value is not None:
            raise wrong("a date that comes every year is never past: leave it out")
        return value

    @model_validator(mode="after")
    def _whole_days(self) -> ContactDate:
        if (self.attribute is None) == (self.property is None):
            raise wrong("needs an attribute of the contact or a property of the enrolment, and not both")
        if self.time is not None and self.offset.span:
            days, rest = divmod(abs(self.offset.span), timedelta(days=1))
            instead = f"; write {'-' if self.offset.span < timedelta(0) else ''}{days}d" if days and not rest else ""
            raise wrong(f"has a time, so its offset must be whole days{instead}")
        return self


_OF_EVENTS = ("where", "by", "of", "since")
"""The keys that only a wait for an event has."""
_ByInput = By | Literal["any"] | tuple[By, ...]


def _classes(value: Any) -> Any:
    if value == "any":
        return EVERYBODY
    return (value,) if isinstance(value, str) else value


def _in_order(value: tuple[By, ...]) -> tuple[By, ...]:
    return tuple(word for word in EVERYBODY if word in value)


Classes = Annotated[
    tuple[By, ...],
    BeforeValidator(_classes, json_schema_input_type=_ByInput),
    AfterValidator(_in_order),
]
"""Whose clicks and opens count: one class, several, or `any`."""


class Awaited(Model):
    """An event of the contact, or a condition over the contact, and how long to wait for it."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["event"]}, {"required": ["condition"]}]})

    event: EventName | None = None
    condition: AwaitedCondition | None = Field(
        None, description="in place of event: CEL over contact and enrollment; the wait ends as soon as it holds"
    )
    where: EventCondition | None = None
    by: Classes = Field(
        ("human",), min_length=1, description="whose clicks and opens count: human, scanner, prefetch, several, or any"
    )
    within: Duration = Field(description="how long to wait for it, such as 3d")
    of: StepId | None = Field(None, description="only about the message that this run sent at that step")
    since: StepId = Field("step", description="events count from: step (this one), enrollment, or an earlier step's id")

    @model_validator(mode="after")
    def _classed(self) -> Awaited:
        if (self.event is None) == (self.condition is None):
            raise wrong("needs an event or a condition, and not both")
        if self.condition is not None and (other := next((key for key in _OF_EVENTS if self._has(key)), None)):
            raise wrong(f"has `{other}`, which only a wait for an event can have")
        if self.by != ("human",) and self.event not in CLASSED:
            raise wrong(f"has `by`, which only {', '.join(CLASSED)} can have")
        return self

    def _has(self, key: str) -> bool:
        return bool(getattr(self, key) != type(self).model_fields[key].default)
