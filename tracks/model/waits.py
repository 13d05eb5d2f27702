"""What the steps that wait are told: a local time, a date of the contact, an event. What follows is in `steps.py`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from tracks.model.values import (
    AttributeName,
    Duration,
    EventCondition,
    EventName,
    LocalTime,
    Model,
    Offset,
    StepId,
    Weekday,
    wrong,
)
from tracks.runs.bot_engagement import CLASSED, EVERYBODY, By
from tracks.time.durations import Shift


class Until(Model):
    """A local time of day, a weekday, or both, in the contact's zone."""

    time: LocalTime | None = None
    weekdays: tuple[Weekday, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _something(self) -> Until:
        if self.time is None and self.weekdays is None:
            raise wrong("needs a time, such as '09:00', or weekdays, such as [mon, tue], or both")
        return self


REFUSED = "refused"
"""In place of `every` where its value was wrong: then no other field is judged by it."""


class ContactDate(Model):
    """A date among the contact's attributes, and the moment that it gives."""

    attribute: AttributeName
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

    @model_validator(mode="after")
    def _whole_days(self) -> ContactDate:
        if self.time is not None and self.offset.span:
            days, rest = divmod(abs(self.offset.span), timedelta(days=1))
            instead = f"; write {'-' if self.offset.span < timedelta(0) else ''}{days}d" if days and not rest else ""
            raise wrong(f"has a time, so its offset must be whole days{instead}")
        return self


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


class AwaitedEvent(Model):
    """An event of the contact, and how long to wait for it."""

    event: EventName
    where: EventCondition | None = None
    by: Classes = Field(
        ("human",), min_length=1, description="whose clicks and opens count: human, scanner, prefetch, several, or any"
    )
    within: Duration = Field(description="how long to wait for it, such as 3d")
    of: StepId | None = Field(None, description="only about the message that this run sent at that step")
    since: StepId = Field("step", description="events count from: step (this one), enrollment, or an earlier step's id")

    @model_validator(mode="after")
    def _classed(self) -> AwaitedEvent:
        if self.by != ("human",) and self.event not in CLASSED:
            raise wrong(f"has `by`, which only {', '.join(CLASSED)} can have")
        return self
