"""The steps of a track: every step is a mapping with an `id` and exactly one verb.

Here are the steps that can hold other steps, and the list of all steps. The docstring of a step is in the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from tracks.model.steps.effects import Email, Lead, Send, Sms
from tracks.model.steps.simple_steps import Base, BreakStep, CrmStep, EnrollStep, ExitStep, SetStep, WebhookStep
from tracks.model.steps.waits import Awaited, ComputedLength, ContactDate, Until, date_schema, until_schema
from tracks.model.values import Condition, Duration, Model, Slug, wrong


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


def _length_tag(value: Any) -> str:
    return "#length" if isinstance(value, (dict, Length)) else "#span"


class Date(ContactDate):
    """A date among the contact's attributes, looked at again whenever the attribute changes."""

    model_config = ConfigDict(json_schema_extra=date_schema)

    missing: Otherwise = Field(
        description="what happens where the attribute is missing or not a date: skip, exit or {steps: […]}"
    )
    past: Otherwise | None = Field(
        None,
        validate_default=True,
        description="what happens where the moment has passed already: skip, exit or {steps: […]}",
    )


class Length(ComputedLength):
    """A computed length, and what to do where there is none."""

    missing: Otherwise = Field(
        description="what happens where the length cannot be computed, or is not above 0: skip, exit or {steps: […]}"
    )


class Moment(Until):
    """A local moment, and what to do where the day of the run for it has passed."""

    model_config = ConfigDict(json_schema_extra=until_schema)

    past: Otherwise | None = Field(
        None,
        validate_default=True,
        description="what happens where that day of the run has passed already: skip, exit or {steps: […]}",
    )


class Happening(Awaited):
    """An event or a condition within a time, and what to do either way."""

    then: Steps = ()
    otherwise: Steps = Field((), alias="else")


class Handoff(Lead):
    """A lead that sales is asked to take over, and what to do after each answer."""

    when_none: Otherwise = Field(
        description="what happens where nobody of the team takes such a lead, or the CRM refuses the task: skip, exit "
        "or {steps: […]}"
    )
    accepted: Steps = ()
    rejected: Steps = ()
    expired: Steps = Field((), description="taken where nobody has answered in time")


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

    kind = "email"
    email: Email


class SmsStep(MessageStep):
    """Send a text message."""

    kind = "sms"
    sms: Sms


class SendStep(MessageStep):
    """Send one message by one of several channels."""

    kind = "send"
    send: Send


class WaitStep(Base):
    """Wait a span of time."""

    kind = "wait"
    wait: Annotated[
        Annotated[Duration, Tag("#span")] | Annotated[Length, Tag("#length")], Discriminator(_length_tag)
    ] = Field(description="how long, such as 2d; or {days: …, missing: …} for a length that is computed")


class WaitUntilStep(Base):
    """Wait for a local time or weekday, or for a day of the run."""

    kind = "wait_until"
    wait_until: Moment


class WaitDateStep(Base):
    """Wait for a date of the contact or the enrolment."""

    kind = "wait_date"
    wait_date: Date


class WaitForStep(Base):
    """Wait for an event or a condition."""

    kind = "wait_for"
    wait_for: Happening


class HandoffStep(Base):
    """Hand the lead over to sales and wait for the answer."""

    kind = "handoff"
    handoff: Handoff


class BranchStep(Base):
    """Choose by conditions."""

    kind = "branch"
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

    kind = "split"
    split: Annotated[tuple[Variant, ...], Field(min_length=2), AfterValidator(_arms)]


class RepeatStep(Base):
    """Take steps several times."""

    kind = "repeat"
    repeat: Rounds


STEP_TYPES: dict[str, type[Base]] = {
    model.kind: model
    for model in (
        EmailStep,
        SmsStep,
        SendStep,
        WaitStep,
        WaitUntilStep,
        WaitDateStep,
        WaitForStep,
        HandoffStep,
        BranchStep,
        SplitStep,
        RepeatStep,
        BreakStep,
        ExitStep,
        EnrollStep,
        CrmStep,
        SetStep,
        WebhookStep,
    )
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
    | Annotated[HandoffStep, Tag("#handoff")]
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

for _model in (Detour, Date, Length, Moment, Happening, Handoff, Choice, Variant, Rounds, *get_args(get_args(Step)[0])):
    (get_args(_model)[0] if get_args(_model) else _model).model_rebuild()
