"""What a message says about when and to whom it may go, and the rules that come of it with the track's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag

from tracks.program import UnknownPolicy
from tracks.values import (
    Duration,
    EntryCondition,
    EventName,
    LocalSpan,
    Model,
    PastEventCondition,
    SendCondition,
    Slug,
    Weekday,
)

if TYPE_CHECKING:
    from tracks.model import Track

PRIORITY = 5
"""In the middle of 0 to 9."""
HOLD = timedelta(days=7)


class Window(LocalSpan):
    """Local hours, and weekdays, in which a message may go; may cross midnight."""

    weekdays: tuple[Weekday, ...] | None = Field(None, min_length=1)


LATELY_AT_MOST = 200
"""Earlier events of one name of one contact that an `unless` looks at, newest first."""
CLOCKS = timedelta(days=1)
"""An event is received after it happened, but for clocks of others that are fast, by less than this."""


class Lately(Model):
    """An event that the contact did within a time."""

    event: EventName
    within: Duration
    where: PastEventCondition | None = None


def _exclusion_tag(value: Any) -> str:
    return "#lately" if isinstance(value, (dict, Lately)) else "#condition"


Exclusion = Annotated[
    Annotated[SendCondition, Tag("#condition")] | Annotated[Lately, Tag("#lately")], Discriminator(_exclusion_tag)
]
"""Whom a message is not for: a condition, or something they did lately."""
EntryExclusion = Annotated[
    Annotated[EntryCondition, Tag("#condition")] | Annotated[Lately, Tag("#lately")], Discriminator(_exclusion_tag)
]
"""Whom an event does not enrol, in the same words."""


class SendingDefaults(Model):
    """For every message of the track that does not say otherwise."""

    unless: Exclusion | None = Field(
        None, description="whom not to send them to: a condition, or {event, within}; not asked by transactional ones"
    )
    topic: Slug | None = Field(None, description="what the contact subscribes to; a topic of the published policy")
    priority: int = Field(PRIORITY, ge=0, le=9, description="who goes first under a cap; 9 is first")
    window: Window | None = Field(None, description="the local hours in which messages go")
    hold: Duration = Field(HOLD, description="how long a message may wait for its turn; then it is skipped")


class Message(Model):
    """What every message may say."""

    topic: Slug | None = Field(None, description="what the contact subscribes to; a topic of the published policy")
    priority: int | None = Field(None, ge=0, le=9, description="who goes first under a cap; 9 is first")
    unless: Exclusion | None = Field(None, description="whom not to send it to: a condition, or {event, within}")
    window: Window | None = Field(None, description="the local hours in which it may go")
    hold: Duration | None = Field(None, description="how long it may wait for its turn; then it is skipped")
    on_unknown: UnknownPolicy | None = Field(None, description="what to do when nobody knows whether it was sent")
    transactional: bool = Field(
        default=False, description="not marketing: passes consent, caps, quiet hours; only what the contact asked for"
    )


@dataclass(frozen=True, slots=True)
class MessageRules:
    """What is checked when a message is claimed; all of it is as the track's version says."""

    topic: str = ""
    priority: int = PRIORITY
    transactional: bool = False
    unless: str | Lately | None = None
    window: Window | None = None
    hold: timedelta = HOLD
    """On the run's clock."""
    timezone: str = "UTC"
    """The zone of contacts who have none."""
    template: str = ""
    """The template whose newest version it is made from; empty where it names a version or has its own text."""


def rules_of(track: Track, message: Message) -> MessageRules:
    """The rules of a message with the track's defaults filled in."""
    defaults = track.defaults.sending
    return MessageRules(
        topic=message.topic or defaults.topic or "",
        priority=defaults.priority if message.priority is None else message.priority,
        transactional=message.transactional,
        unless=message.unless or (None if message.transactional else defaults.unless),
        window=message.window or (None if message.transactional else defaults.window),
        hold=message.hold or defaults.hold,
        timezone=track.defaults.timezone,
    )
