"""Frequency caps: whether one more message is allowed now, and if not, from when on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracks.policy.workspace_policy import Breaker, Cap


@dataclass(frozen=True, slots=True)
class Counted:
    """A promotional message that counts: sent, being sent, or waiting with a higher priority."""

    channel: str
    topic: str
    at: datetime
    """The real time of its claim; for a waiting message, the time when it is due."""


@dataclass(frozen=True, slots=True)
class Full:
    """The cap that stays exhausted the longest, and the real time when all caps have room again."""

    cap: Cap
    until: datetime


def applying(caps: Iterable[Cap], channel: str, topic: str) -> list[Cap]:
    """The caps that apply to a message of this channel and topic."""
    return [cap for cap in caps if cap.channel in (None, channel) and cap.topic in (None, topic)]


def flooded(breaker: Breaker, sent: Sequence[datetime], now: datetime, pace: float = 1.0) -> Full | None:
    """Whether one address has had so many recent messages that the next must wait; None if it may be sent.

    `sent` are the real times of all messages to the address, whatever their topic.
    """
    hour = Cap(most=breaker.address_per_hour, per=timedelta(hours=1))
    day = Cap(most=breaker.address_per_day, per=timedelta(days=1))
    return full([hour, day], [Counted("", "", at) for at in sent], now, pace) if sent else None


def full(caps: Sequence[Cap], counted: Sequence[Counted], now: datetime, pace: float = 1.0) -> Full | None:
    """Whether the caps (see `applying`) leave no room now; None if one more message is allowed.

    The span of a cap lasts `per / pace` of real time, because a paced run counts on its own clock.
    """
    worst: Full | None = None
    for cap in caps:
        span = cap.per / pace
        inside = sorted(
            one.at
            for one in counted
            if one.at > now - span and cap.channel in (None, one.channel) and cap.topic in (None, one.topic)
        )
        if len(inside) >= cap.most:
            until = inside[-cap.most] + span  # then only `most - 1` messages are still inside
            if worst is None or until > worst.until:
                worst = Full(cap, until)
    return worst
