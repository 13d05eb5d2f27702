"""The track: a written plan of messages, waits and branches. Written as YAML, or built from these models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from tracks.model.entry import Entries, Entry, one_of
from tracks.model.score_changes import GRADED, grade_problem, of_score
from tracks.model.segment_changes import ENTERED, LEFT, of_segment
from tracks.model.sending import ExclusionRules, SendingDefaults
from tracks.model.steps.effects import EmailTracking, SmsTracking
from tracks.model.steps.simple_steps import Base
from tracks.model.steps.steps import (
    BranchStep,
    Detour,
    HandoffStep,
    Length,
    MessageStep,
    Moment,
    RepeatStep,
    SplitStep,
    Step,
    Steps,
    WaitDateStep,
    WaitForStep,
    WaitStep,
    WaitUntilStep,
)
from tracks.model.values import (
    Duration,
    EventCondition,
    EventName,
    Mailbox,
    Model,
    Short,
    Slug,
    SmsSender,
    Text,
    Zone,
    wrong,
)
from tracks.runs.program import UnknownPolicy


class Goal(Model):
    """The event that ends the run at once as converted."""

    event: EventName
    where: EventCondition | None = None


class ExitRule(Model):
    """What ends the run at once, with a reason: an event, entering or leaving a segment, or a grade of a score."""

    model_config = one_of("event", "leaves", "enters", "score")

    event: EventName | None = None
    leaves: Slug | None = Field(None, description="the segment that the contact leaves")
    enters: Slug | None = Field(None, description="the segment that the contact enters")
    score: Slug | None = Field(None, description="the score whose grade ends the run; with grade or below")
    grade: Slug | None = Field(None, description="of the score: rising to this grade or above ends the run")
    below: Slug | None = Field(None, description="of the score: falling below this grade ends the run")
    where: EventCondition | None = None
    reason: Slug | None = Field(
        None,
        description="needed for an event; `left-…` or `entered-…` for a segment, `reached-…` or `below-…` for a grade",
    )

    @model_validator(mode="after")
    def _has_one_cause(self) -> Self:
        if sum(one is not None for one in (self.event, self.leaves, self.enters, self.score)) != 1:
            raise wrong("needs one of event, leaves, enters and score")
        if (problem := grade_problem(self.score, self.grade, self.below)) is not None:
            raise wrong(problem)
        if self.event is not None and self.reason is None:
            raise wrong("needs a reason, such as reason: canceled")
        return self

    @property
    def cause(self) -> tuple[str, str | None]:
        """The event that ends the run, and the condition for it."""
        if self.leaves is not None:
            return LEFT, of_segment(self.leaves, self.where)
        if self.enters is not None:
            return ENTERED, of_segment(self.enters, self.where)
        if self.score is not None:
            return GRADED, of_score(self.score, self.grade, self.below, self.where)
        return self.event or "", self.where

    @property
    def because(self) -> str:
        """The reason with which the run ends."""
        if self.reason is not None:
            return self.reason
        if self.score is not None:
            return f"reached-{self.grade}" if self.grade is not None else f"below-{self.below}"
        return f"left-{self.leaves}" if self.leaves else f"entered-{self.enters}"


_RESTART = "whether the entry event ends a live run and begins a new one"


class ReentryAfter(Model):
    """Again, when this much time has passed since the last run ended."""

    after: Duration
    restart: bool = Field(default=False, description=_RESTART)


def _property(value: str, info: ValidationInfo) -> str:
    if value.startswith(("enrollment.", "event.", "contact.")) and not (info.context or {}).get("published"):
        raise wrong(f"is the name of a property of the enrolment: write {value.rpartition('.')[2] or 'cart_id'}")
    return value


PropertyName = Annotated[Short, AfterValidator(_property)]


class ReentryPer(Model):
    """One run for each value of this enrolment property, such as a cart's id. `after` allows a value again later."""

    per: PropertyName
    after: Duration | None = Field(None, description="allows each value again, this long after its last run ended")
    restart: bool = Field(default=False, description=_RESTART)


class ReentryRestart(Model):
    """Always: the entry event ends the live run and begins a new one."""

    restart: Literal[True]


def _reentry_tag(value: Any) -> str:
    match value:
        case ReentryPer() | {"per": _}:
            return "#per"
        case ReentryAfter() | {"after": _}:
            return "#after"
        case ReentryRestart() | {"restart": _}:
            return "#restart"
    return "#after" if isinstance(value, dict) else "#word"


Reentry = Annotated[
    Annotated[Literal["never", "always"], Tag("#word")]
    | Annotated[ReentryAfter, Tag("#after")]
    | Annotated[ReentryPer, Tag("#per")]
    | Annotated[ReentryRestart, Tag("#restart")],
    Discriminator(_reentry_tag),
]


class EmailDefaults(Model):
    """For every email of the track that does not set its own value."""

    from_: Mailbox | None = Field(None, alias="from")
    reply_to: Mailbox | None = None
    on_unknown: UnknownPolicy = "assume_sent"
    track: EmailTracking = EmailTracking()


class SmsDefaults(Model):
    """For every text message of the track that does not set its own value."""

    from_: SmsSender | None = Field(None, alias="from")
    on_unknown: UnknownPolicy = "assume_sent"
    track: SmsTracking = SmsTracking()


class Defaults(Model):
    """What messages and local times use where they set no value of their own."""

    email: EmailDefaults = EmailDefaults()
    sms: SmsDefaults = SmsDefaults()
    sending: SendingDefaults = Field(SendingDefaults(), description="when and to whom messages may go")
    timezone: Zone = Field("UTC", description="the zone of contacts who have none")


class Track(Model):
    """A whole track. `track` is its name in ids, `name` is the one that people read."""

    track: Slug = Field(description="the track's name in ids: lower-case letters, digits and -, such as trial-to-paid")
    name: Short | None = None
    description: Text = ""
    owner: Short | None = None
    entry: Entries | None = Field(
        None, description="what enrols, one or a list; absent: contacts are enrolled through the API only"
    )
    reentry: Reentry = "never"
    unless: ExclusionRules = Field(
        (),
        description="whom the track leaves alone, such as [{did: order.paid, within: 3d}]: they neither enter nor get "
        "its promotional messages; the leaves of segments",
    )
    goal: Goal | None = None
    exits: tuple[ExitRule, ...] = ()
    defaults: Defaults = Defaults()
    steps: Steps = Field(min_length=1, description="at least one step")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What enrols by itself, in the order written; empty: the API only."""
        if isinstance(self.entry, Entry):
            return (self.entry,)
        return self.entry or ()

    def walk(self) -> Iterator[Step]:
        """Every step in the order written; an outer step comes before the steps that it holds."""
        return walk(self.steps)


def blocks(step: Base) -> Iterator[Steps]:
    """The lists of steps that a step holds, in the order written."""
    match step:
        case MessageStep():
            yield from (way.steps for way in (step.skipped, step.failed) if isinstance(way, Detour))
        case WaitStep(wait=Length(missing=Detour() as way)) | WaitUntilStep(wait_until=Moment(past=Detour() as way)):
            yield way.steps
        case WaitDateStep(wait_date=date):
            yield from (way.steps for way in (date.missing, date.past) if isinstance(way, Detour))
        case WaitForStep(wait_for=happening):
            yield from (happening.then, happening.otherwise)
        case HandoffStep(handoff=handoff):
            yield from (handoff.accepted, handoff.rejected, handoff.expired)
            yield from (way.steps for way in (handoff.when_none,) if isinstance(way, Detour))
        case BranchStep():
            yield from (choice.steps for choice in step.branch)
            yield step.otherwise
        case SplitStep():
            yield from (arm.steps for arm in step.split)
        case RepeatStep():
            yield step.repeat.steps
        case _:
            pass


def walk(steps: Steps) -> Iterator[Step]:
    """These steps and all steps within them, in the order written."""
    for step in steps:
        yield step
        for block in blocks(step):
            yield from walk(block)


def find_step(track: Track, step_id: str) -> Step:
    """The step with this id, at any depth. Raises KeyError."""
    for step in track.walk():
        if step.id == step_id:
            return step
    raise KeyError(step_id)
