"""Who is a member of a segment: a tree of `all`, `any` and `not` over conditions and over what a contact did.

Each leaf is true or false of one contact at one moment. Windows are open at their beginning: an event of the time `t`
counts within 7d until just before `t` + 7d, and no more from then on.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BeforeValidator, PlainSerializer, model_validator
from pydantic.json_schema import WithJsonSchema

from audience.conditions import EventCondition
from tracks.model.values import Duration, EventName, Model, wrong

MAX_TIMES = 1_000
"""The largest number of events that a leaf may count to: each evaluation reads that many."""

COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


class Times(NamedTuple):
    """How often something has to have happened."""

    comparison: str
    number: int

    def hold(self, count: int) -> bool:
        """Whether that many are right."""
        return COMPARISONS[self.comparison](count, self.number)

    def __str__(self) -> str:
        return f"{self.comparison} {self.number}"


def _times(value: Any) -> Times:
    if isinstance(value, Times):
        return value
    match = re.fullmatch(r"\s*(>=|<=|==|>|<)\s*(\d{1,9})\s*", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        many = f"; did you mean '>= {value}'?" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise wrong(f"should be a comparison in quotes, such as '>= 3' or '== 1'{many}")
    times = Times(match[1], int(match[2]))
    if times.number > MAX_TIMES:
        raise wrong(f"counts further than {MAX_TIMES:,}")
    if len({times.hold(count) for count in range(MAX_TIMES + 2)}) == 1:
        raise wrong(f"'{times}' is {'always' if times.hold(0) else 'never'} true")
    return times


Counting = Annotated[
    Times,
    BeforeValidator(_times),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(>=|<=|==|>|<) ?\d+$", "examples": [">= 3"]}),
]


class Did(Model):
    """They did something, so many times, ever or within a span of time."""

    did: EventName
    times: Counting = Times(">=", 1)
    within: Duration | None = None
    where: EventCondition | None = None


class DidNot(Model):
    """They did not do something, ever or within a span of time. Who never did it counts too."""

    did_not: EventName
    within: Duration | None = None
    where: EventCondition | None = None


class _Once(Model):
    before: Duration | None = None
    """Longer ago than this."""
    within: Duration | None = None
    """Not longer ago than this."""
    where: EventCondition | None = None

    @model_validator(mode="after")
    def _has_a_span(self) -> Self:
        if self.before is None and self.within is None:
            raise wrong("needs before or within, such as before: 60d")
        if self.before is not None and self.within is not None and self.before >= self.within:
            raise wrong("can never be: before has to be shorter than within")
        return self


class Last(_Once):
    """The last time they did something is so long ago. False of who never did it."""

    last: EventName


class First(_Once):
    """The first time they did something is so long ago. False of who never did it."""

    first: EventName


EventLeaf = Did | DidNot | Last | First
EVENT_LEAVES: Mapping[str, type[EventLeaf]] = {"did": Did, "did_not": DidNot, "last": Last, "first": First}
"""Each kind of leaf about events, by the key that names the event."""


@dataclass(frozen=True)
class Condition:
    """A condition over the contact."""

    text: str


@dataclass(frozen=True)
class All:
    """Every part is true."""

    parts: tuple[Members, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one part is true."""

    parts: tuple[Members, ...]


@dataclass(frozen=True)
class Not:
    """The part is false."""

    part: Members


Leaf = Condition | EventLeaf
Members = Leaf | All | AnyOf | Not


def leaves(members: Members) -> Iterator[Leaf]:
    """Every leaf of a tree, in the order in which it is written."""
    match members:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield members


def event_of(leaf: EventLeaf) -> str:
    """The name of the event that a leaf is about."""
    match leaf:
        case Did():
            return leaf.did
        case DidNot():
            return leaf.did_not
        case Last():
            return leaf.last
        case First():
            return leaf.first


def events_of(members: Members) -> set[str]:
    """The names of all events that a tree is about."""
    return {event_of(leaf) for leaf in leaves(members) if not isinstance(leaf, Condition)}


def longest_window(members: Members) -> timedelta | None:
    """How far back a tree looks at events; None where any leaf looks back without a limit."""
    spans = [
        leaf.within if isinstance(leaf, Did | DidNot) else None
        for leaf in leaves(members)
        if not isinstance(leaf, Condition)
    ]
    return max((span for span in spans if span), default=timedelta(0)) if all(spans) else None


def needed(leaf: EventLeaf) -> int:
    """How many of the newest events decide a leaf, now and as time passes; of `First`, the oldest one decides."""
    return leaf.times.number + 1 if isinstance(leaf, Did) else 1
