"""The rules of one message that are checked at the moment of its claim, with the track's defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tracks.model.recipients import Addressee
from tracks.model.sending import HOLD, PRIORITY, Lately, Message, Window
from tracks.model.track import Track


@dataclass(frozen=True, slots=True)
class MessageRules:
    """The rules that are checked when a message is claimed, as the track's version sets them."""

    topic: str = ""
    priority: int = PRIORITY
    transactional: bool = False
    unless: str | Lately | None = None
    excluded: tuple[Any, ...] = ()
    """Whom the track leaves alone (`audience.exclusions`)."""
    window: Window | None = None
    hold: timedelta = HOLD
    """How long the message may wait, on the run's clock."""
    timezone: str = "UTC"
    """The zone for contacts who have none."""
    to: Addressee | None = None
    """Somebody other than the contact to whom it goes. What the contact agreed to does not count then."""
    template: str = ""
    """The template whose newest version is sent; empty if the message pins a version or has its own text."""


def rules_of(track: Track, message: Message) -> MessageRules:
    """The rules of a message with the track's defaults filled in."""
    defaults = track.defaults.sending
    if message.to is not None:
        return MessageRules(
            priority=defaults.priority if message.priority is None else message.priority,
            transactional=True,
            unless=message.unless,
            window=message.window,
            hold=message.hold or defaults.hold,
            timezone=track.defaults.timezone,
            to=message.to,
        )
    return MessageRules(
        topic=message.topic or defaults.topic or "",
        priority=defaults.priority if message.priority is None else message.priority,
        transactional=message.transactional,
        excluded=() if message.transactional else track.unless,
        unless=message.unless or (None if message.transactional else defaults.unless),
        window=message.window or (None if message.transactional else defaults.window),
        hold=message.hold or defaults.hold,
        timezone=track.defaults.timezone,
    )
