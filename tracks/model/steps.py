"""The steps of a track: every step is a mapping with an `id` and exactly one verb."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from tracks.model.effects import Changes, Crm, Email, Enrolment, Send, Sms, Webhook
from tracks.model.values import (
    AttributeName,
    Condition,
    Duration,
    EventCondition,
    EventName,
    LocalTime,
    Model,
    Offset,
    Slug,
    StepId,
    Text,
    Weekday,
    wrong,
)
from tracks.program.engagement import CLASSED, EVERYBODY, By
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


class Detour(Model):
    """Steps to take instead."""

    steps: Steps


def _detour_tag(value: Any) -> str:
    return "#steps" if isinstance(value, (dict, Detour)) else "#word"


Otherwise = Annotated[
    Annotated[Literal["skip", "exit"], Tag("#word")] | Annotated[Detour, Tag("#steps")], Discriminator(_detour_tag)
]
"""`skip` goes on with the next step at once, `exit` ends the run, `steps` are taken first."""


After = Annotated[
    Annotated[Literal["continue", "exit"], Tag("#word")] | Annotated[Detour, Tag("#steps")], Discriminator(_detour_tag)
]
"""The same, for what follows a message: `continue` goes on with the next step."""


_REFUSED = "refused"
"""What `every` said was wrong itself: then nothing follows from it."""


def _date_schema(schema: dict[str, Any]) -> None:
    """What a date needs beside: a yearly one the rule for 29 February, any other its `past`."""
    yearly = {"properties": {"every": {"const": "year"}}, "required": ["every"]}
    schema |= {"if": yearly, "then": {"required": ["feb_29"]}, "else": {"required": ["past"]}}


class Date(Model):
    """A date among the contact's attributes, looked at again whenever the attribute changes."""

    model_config = ConfigDict(json_schema_extra=_date_schema)

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
    missing: Otherwise = Field(
        description="what happens where the attribute is missing or not a date: skip, exit or {steps: […]}"
    )
    past: Otherwise | None = Field(
        None,
        validate_default=True,
        description="what happens where the moment has passed already: skip, exit or {steps: […]}",
    )

    @field_validator("feb_29", mode="before")
    @classmethod
    def _leap_day(cls, value: Any, info: ValidationInfo) -> Any:
        yearly = info.data.get("every", _REFUSED)
        if yearly == "year" and value is None:
            raise PydanticKnownError("missing")
        if yearly is None and value is not None:
            raise wrong("is for dates that come every year: write every: year")
        return value

    @field_validator("past", mode="before")
    @classmethod
    def _never_past(cls, value: Any, info: ValidationInfo) -> Any:
        yearly = info.data.get("every", _REFUSED)
        if yearly is None and value is None:
            raise PydanticKnownError("missing")
        if yearly == "year" and value is not None:
            raise wrong("a date that comes every year is never past: leave it out")
        return value

    @model_validator(mode="after")
    def _whole_days(self) -> Date:
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


class Happening(Model):
    """An event of the contact within a time, and what to do either way."""

    event: EventName
    where: EventCondition | None = None
    by: Annotated[tuple[By, ...], BeforeValidator(_classes, json_schema_input_type=_ByInput)] = Field(
        ("human",), min_length=1, description="whose clicks and opens count: human, scanner, prefetch, several, or any"
    )
    within: Duration = Field(description="how long to wait for it, such as 3d")
    of: StepId | None = Field(None, description="only about the message that this run sent at that step")
    since: StepId = Field("step", description="events count from: step (this one), enrollment, or an earlier step's id")
    then: Steps = ()
    otherwise: Steps = Field((), alias="else")

    @field_validator("by", mode="after")
    @classmethod
    def _in_order(cls, value: tuple[By, ...]) -> tuple[By, ...]:
        return tuple(word for word in EVERYBODY if word in value)

    @model_validator(mode="after")
    def _classed(self) -> Happening:
        if self.by != ("human",) and self.event not in CLASSED:
            raise wrong(f"has `by`, which only {', '.join(CLASSED)} can have")
        return self


class Choice(Model):
    """One branch: taken if its condition is the first that holds."""

    when: Condition
    steps: Steps


class Variant(Model):
    """One arm of a split."""

    name: Slug
    weight: int = Field(ge=0, le=1_000_000)
    steps: Steps


class Rounds(Model):
    """Steps taken several times."""

    times: int = Field(ge=1, le=1_000)
    steps: Steps = Field(min_length=1)


class Ending(Model):
    """The end of the run, with a reason."""

    reason: Slug = "exit"


class Base(Model):
    """What every step has."""

    id: StepId = Field(description="stable and unique in the track: lower-case letters, digits, - and _")
    description: Text = ""

    @property
    def kind(self) -> str:
        """The step's verb."""
        return next(verb for verb, model in STEP_TYPES.items() if isinstance(self, model))


class MessageStep(Base):
    """What every step that sends a message has: what follows if it did not go out."""

    skipped: After = Field("continue", description="after a message that was not to be sent")
    failed: After = Field("continue", description="after a message that could not be sent")

    @property
    def messages(self) -> tuple[Email | Sms, ...]:
        """The messages of which it sends one, in the order written."""
        if isinstance(self, SendStep):
            return tuple(offer.message for offer in self.send.channels)
        assert isinstance(self, (EmailStep, SmsStep))
        return (self.email if isinstance(self, EmailStep) else self.sms,)


class EmailStep(MessageStep):
    """Send an email."""

    email: Email


class SmsStep(MessageStep):
    """Send a text message."""

    sms: Sms


class SendStep(MessageStep):
    """Send one message by one of several channels."""

    send: Send


class WaitStep(Base):
    """Wait a span of time."""

    wait: Duration


class WaitUntilStep(Base):
    """Wait for a local time or weekday."""

    wait_until: Until


class WaitDateStep(Base):
    """Wait for a date of the contact."""

    wait_date: Date


class WaitForStep(Base):
    """Wait for an event."""

    wait_for: Happening


class BranchStep(Base):
    """Choose by conditions."""

    branch: tuple[Choice, ...] = Field(min_length=1)
    otherwise: Steps = Field((), alias="else")


def _arms(value: tuple[Variant, ...]) -> tuple[Variant, ...]:
    names = [arm.name for arm in value]
    if len(set(names)) < len(names):
        raise wrong("has two arms of one name")
    if not sum(arm.weight for arm in value):
        raise wrong("needs an arm with a weight of at least 1")
    return value


class SplitStep(Base):
    """Choose by chance, stable for each contact."""

    split: Annotated[tuple[Variant, ...], Field(min_length=2), AfterValidator(_arms)]


class RepeatStep(Base):
    """Take steps several times."""

    repeat: Rounds


class ExitStep(Base):
    """End the run."""

    exit: Annotated[Ending, BeforeValidator(lambda value: {} if value is None else value)]


class Leaving(Model):
    """The end of the innermost repeat around the step; it says nothing more."""


class BreakStep(Base):
    """Leave the innermost repeat around this step."""

    leave: Annotated[Leaving, BeforeValidator(lambda value: {} if value is None else value)] = Field(alias="break")


class EnrollStep(Base):
    """Enrol into another track."""

    enroll: Enrolment


class CrmStep(Base):
    """Write to the CRM."""

    crm: Crm


class SetStep(Base):
    """Write contact attributes."""

    set: Changes


class WebhookStep(Base):
    """Call your own system."""

    webhook: Webhook


STEP_TYPES: dict[str, type[Base]] = {
    "email": EmailStep,
    "sms": SmsStep,
    "send": SendStep,
    "wait": WaitStep,
    "wait_until": WaitUntilStep,
    "wait_date": WaitDateStep,
    "wait_for": WaitForStep,
    "branch": BranchStep,
    "split": SplitStep,
    "repeat": RepeatStep,
    "break": BreakStep,
    "exit": ExitStep,
    "enroll": EnrollStep,
    "crm": CrmStep,
    "set": SetStep,
    "webhook": WebhookStep,
}
"""The verbs, and the model of each."""
MESSAGES = tuple(verb for verb, model in STEP_TYPES.items() if issubclass(model, MessageStep))
"""The verbs that send a message."""


def _verb(value: Any) -> str | None:
    if isinstance(value, Base):
        return f"#{value.kind}"
    verbs = [verb for verb in STEP_TYPES if isinstance(value, dict) and verb in value]
    return f"#{verbs[0]}" if verbs else None


Step = Annotated[
    Annotated[EmailStep, Tag("#email")]
    | Annotated[SmsStep, Tag("#sms")]
    | Annotated[SendStep, Tag("#send")]
    | Annotated[WaitStep, Tag("#wait")]
    | Annotated[WaitUntilStep, Tag("#wait_until")]
    | Annotated[WaitDateStep, Tag("#wait_date")]
    | Annotated[WaitForStep, Tag("#wait_for")]
    | Annotated[BranchStep, Tag("#branch")]
    | Annotated[SplitStep, Tag("#split")]
    | Annotated[RepeatStep, Tag("#repeat")]
    | Annotated[BreakStep, Tag("#break")]
    | Annotated[ExitStep, Tag("#exit")]
    | Annotated[EnrollStep, Tag("#enroll")]
    | Annotated[CrmStep, Tag("#crm")]
    | Annotated[SetStep, Tag("#set")]
    | Annotated[WebhookStep, Tag("#webhook")],
    Discriminator(_verb),
]
Steps = tuple[Step, ...]

for _model in (Detour, Date, Happening, Choice, Variant, Rounds, *get_args(get_args(Step)[0])):
    (get_args(_model)[0] if get_args(_model) else _model).model_rebuild()
