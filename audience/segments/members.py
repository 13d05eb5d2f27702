"""Who is a member of a segment: a tree of `all`, `any` and `not` over conditions and over what a contact did.

Each leaf is true or false of one contact at one moment. Windows are open at their beginning: an event of the time `t`
counts within 7d until just before `t` + 7d, and no more from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import model_validator

from audience.conditions import Happening
from audience.segments.leaves.aggregates import AGGREGATES, Aggregate
from audience.segments.leaves.comparisons import Counting, Times
from audience.segments.leaves.counted_events import Counted
from audience.segments.leaves.dates import DateLeaf
from audience.segments.leaves.grade_leaf import ScoreGrade
from audience.segments.leaves.standings import STANDING_LEAVES, InSegment, StandingLeaf, cause_of
from tracks.model.values import Duration, wrong


class Did(Counted):
    """They did something, so many times, ever or within a span of time."""

    kind = "did"
    did: Happening
    times: Counting = Times(">=", 1)
    within: Duration | None = None


class DidNot(Counted):
    """They did not do something, ever or within a span of time. Who never did it counts too."""

    kind = "did_not"
    did_not: Happening
    within: Duration | None = None


class _Once(Counted):
    before: Duration | None = None
    """Longer ago than this."""
    within: Duration | None = None
    """Not longer ago than this."""

    @model_validator(mode="after")
    def _has_a_span(self) -> Self:
        if self.before is None and self.within is None:
            raise wrong("needs before or within, such as before: 60d")
        if self.before is not None and self.within is not None and self.before >= self.within:
            raise wrong("can never be: before has to be shorter than within")
        return self


class Last(_Once):
    """The last time they did something is so long ago. False of who never did it."""

    kind = "last"
    last: Happening


class First(_Once):
    """The first time they did something is so long ago. False of who never did it."""

    kind = "first"
    first: Happening


EventLeaf = Did | DidNot | Last | First | Aggregate
EVENT_LEAVES: Mapping[str, type[EventLeaf]] = {
    "did": Did,
    "did_not": DidNot,
    "last": Last,
    "first": First,
    **AGGREGATES,
}
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


ContactLeaf = Condition | DateLeaf | ScoreGrade | StandingLeaf
"""A leaf about the contact, and about no event."""
Leaf = ContactLeaf | EventLeaf
LEAVES: Mapping[str, type[DateLeaf] | type[ScoreGrade] | type[EventLeaf] | type[StandingLeaf]] = {
    **EVENT_LEAVES,
    "date": DateLeaf,
    "score": ScoreGrade,
    **STANDING_LEAVES,
}
"""Each kind of leaf that is written as a mapping, by the key that names what it is about."""
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
    return leaf.event


def events_of(members: Members) -> set[str]:
    """The names of all events that a tree is about."""
    return {event_of(leaf) for leaf in leaves(members) if not isinstance(leaf, ContactLeaf)}


def scores_of(members: Members) -> frozenset[str]:
    """The scores that a tree is about."""
    return frozenset(leaf.score for leaf in leaves(members) if isinstance(leaf, ScoreGrade))


def standings_of(members: Members) -> set[StandingLeaf]:
    """All leaves of a tree about a standing."""
    return {leaf for leaf in leaves(members) if isinstance(leaf, StandingLeaf)}


def triggers_of(members: Members) -> set[str]:
    """What may change the truth of a tree, other than a field of the contact and time: events, and causes of leaves
    about a standing."""
    return events_of(members) | {cause_of(leaf) for leaf in standings_of(members)}


def inner_segments(members: Members) -> set[str]:
    """The names of the segments that a tree is about."""
    return {leaf.in_ for leaf in leaves(members) if isinstance(leaf, InSegment)}


def needed(leaf: Did | DidNot | Last | First) -> int:
    """How many of the newest events decide a leaf, now and as time passes; of `First`, the oldest one decides.

    All events of its window decide an aggregate.
    """
    return leaf.times.number + 1 if isinstance(leaf, Did) else 1
