"""Leaves about where a contact stands: in another segment, on a track, with a consent, within reach of messages.

Each of them is true within spans of time, which the store reads. A span begins with its first moment and ends before
its last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from audience.facts import Span, Standing
from tracks.model.values import Channel, Duration, Model, Slug, wrong


class InSegment(Model):
    """They are a member of another segment, by its version that counts."""

    in_: Slug = Field(alias="in", description="the other segment's name")


class OnTrack(Model):
    """They have a live run of a track."""

    on: Slug = Field(description="the track's name")


class Converted(Model):
    """A run of a track ended because they reached its goal, ever or within a span of time."""

    converted: Slug = Field(description="the track's name")
    within: Duration | None = None


class Consents(Model):
    """They agreed to messages about a topic, and did not withdraw it. Without `channel`: on at least one channel."""

    consents: Slug = Field(description="the topic's name in the policy, or a channel: email or sms")
    channel: Channel | None = None

    @model_validator(mode="after")
    def _one_channel(self) -> Self:
        if self.channel is not None and self.consents in ("email", "sms"):
            raise wrong(f"consents: {self.consents} is a channel already, so channel cannot stand beside it")
        return self


class Reachable(Model):
    """A promotional message may be sent to them: an address, the consent that the policy asks for, no suppression."""

    reachable: Channel
    topic: Slug | None = Field(None, description="messages about this topic; absent: about none")


StandingLeaf = InSegment | OnTrack | Converted | Consents | Reachable
STANDING_LEAVES: Mapping[str, type[StandingLeaf]] = {
    "in": InSegment,
    "on": OnTrack,
    "converted": Converted,
    "consents": Consents,
    "reachable": Reachable,
}
"""Each kind of leaf about a standing, by the key that names it."""

NOWHERE = Standing()
"""What is taken of a leaf about which nothing was read."""
Kind = Literal["in", "on", "consent", "reach"]


def cause_of(leaf: StandingLeaf) -> str:
    """What has to happen so that the leaf can change, as the name of a trigger."""
    match leaf:
        case InSegment():
            return cause("in", leaf.in_)
        case OnTrack():
            return cause("on", leaf.on)
        case Converted():
            return cause("on", leaf.converted)
        case Consents():
            return cause("consent")
        case Reachable():
            return cause("reach")


def cause(kind: Kind, name: str = "") -> str:
    """The name of the trigger for a change of membership (`in`), of a run (`on`), of consents (`consent`), or of who
    may be sent messages (`reach`). No event has such a name: names of events are one line.
    """
    return f"{kind}\n{name}"


class Course:
    """When a leaf holds, by its standing; spans that touch or overlap are one."""

    def __init__(self, leaf: StandingLeaf, standing: Standing) -> None:
        self.standing = standing
        within = leaf.within if isinstance(leaf, Converted) else None
        self._spans = list(_merged(_limited(standing.spans, within)))

    def holds(self, now: datetime) -> bool:
        """Whether the leaf is true at that moment."""
        return any(begin <= now and (end is None or now < end) for begin, end in self._spans)

    @cached_property
    def turns(self) -> Sequence[datetime]:
        """The moments at which that changes, in order."""
        return [at for begin, end in self._spans for at in (begin, end) if at is not None]

    @property
    def settled(self) -> bool:
        """Whether it never changes."""
        return not self._spans


def _limited(spans: Sequence[Span], within: timedelta | None) -> Iterator[Span]:
    """Spans that end some time after they began."""
    for begin, end in spans:
        yield (begin, end) if within is None else (begin, begin + within)


def _merged(spans: Iterator[Span]) -> Iterator[Span]:
    merged: Span | None = None
    for begin, end in sorted(spans, key=lambda span: span[0]):
        if merged is None:
            merged = (begin, end)
        elif merged[1] is None or begin <= merged[1]:
            merged = (merged[0], None if merged[1] is None or end is None else max(merged[1], end))
        else:
            yield merged
            merged = (begin, end)
    if merged is not None:
        yield merged
