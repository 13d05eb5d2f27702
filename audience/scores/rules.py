"""The rules of a score: points for who somebody is, and points for what they do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema

from audience.conditions import ContactCondition, EventCondition, Happening
from audience.scores.grades import Grades
from audience.segments.decision import Decider
from audience.segments.members import Members, events_of
from tracks.model.steps.waits import Classes
from tracks.model.values import Duration, Model, Slug, wrong
from tracks.runs.bot_engagement import CLASSED
from tracks.time.durations import format_duration

MAX_POINTS = 1_000
NEVER = timedelta.max
"""The half-life of points that keep their worth."""


def _points(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong("should be a number, such as 10 or -20")
    if value == 0 or abs(value) > MAX_POINTS:
        raise wrong(f"should be between -{MAX_POINTS:,} and {MAX_POINTS:,}, and not 0")
    return value


def _half_life(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    return NEVER if value in ("never", NEVER) else read(value)


Points = Annotated[int | float, BeforeValidator(_points)]
HalfLife = Annotated[
    Duration,
    WrapValidator(_half_life),
    PlainSerializer(lambda span: "never" if span == NEVER else format_duration(span), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(never|P.*|(\d+[wdhms] ?)+)$", "examples": ["14d", "never"]}),
]
"""How long points take to lose half of their worth; `never` is NEVER."""


class Cap(Model):
    """The most events of a rule that score within any span of this length."""

    most: int = Field(ge=1, le=1_000, description="how many events score at most")
    per: Duration | None = Field(None, description="the length of the span; left out: ever")


class FitRule(Model):
    """Points as long as a condition over the contact holds."""

    id: Slug
    when: ContactCondition
    points: Points


class EventRule(Model):
    """Points for each event. They wear off by a half-life, or end together after a span of time."""

    id: Slug
    event: Happening
    where: EventCondition | None = None
    by: Classes = Field(("human",), min_length=1)
    points: Points
    cap: Cap | None = None
    half_life: HalfLife | None = None
    within: Duration | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.by != ("human",) and self.event not in CLASSED:
            raise wrong(f"has `by`, which only {', '.join(CLASSED)} can have")
        if self.half_life is not None and self.within is not None:
            raise wrong("has half_life and within: its points either wear off, or end together")
        return self


class WhileRule(Model):
    """Points as long as the contact would be a member of a segment, such as "no use for 30 days"."""

    id: Slug
    while_: Any = Field(alias="while")
    points: Points


@dataclass(frozen=True)
class While:
    """A `WhileRule` whose tree is read."""

    id: str
    members: Members
    points: int | float

    @cached_property
    def decider(self) -> Decider:
        """The tree, prepared to decide about many contacts."""
        return Decider(self.members)

    @cached_property
    def events(self) -> frozenset[str]:
        """The names of the events that the tree is about."""
        return frozenset(events_of(self.members))


@dataclass(frozen=True)
class Score:
    """A score as it was written. The ids of all its rules differ."""

    score: str
    fit: tuple[FitRule, ...]
    behaviour: tuple[EventRule | While, ...]
    """Each EventRule has a half-life or a span `within`."""
    grades: Grades
    name: str = ""
    description: str = ""
    owner: str | None = None
