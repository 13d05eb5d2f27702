"""Frequency caps: whether one more message fits, and when it will."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracks.policy.workspace_policy import Breaker, Cap


@dataclass(frozen=True, slots=True)
class Counted:
    """A promotional message that counts: sent, being sent, or about to be (one of a higher priority that waits)."""

    channel: str
    topic: str
    at: datetime
    """Real time of its claim; of one that waits, when it is due."""


@dataclass(frozen=True, slots=True)
class Full:
    """The cap that is used up longest, and when (real time) there will be room under all of them."""

    cap: Cap
    until: datetime


def applying(caps: Iterable[Cap], channel: str, topic: str) -> list[Cap]:
    """The caps that a message of that channel and topic counts under."""
    return [cap for cap in caps if cap.channel in (None, channel) and cap.topic in (None, topic)]


def flooded(breaker: Breaker, sent: Sequence[datetime], now: datetime, pace: float = 1.0) -> Full | None:
    """Whether one address has had so many messages lately that the next must wait; None where it may go.

    `sent` are the real times of all its messages, whatever they are about.
    """
    hour = Cap(most=breaker.address_per_hour, per=timedelta(hours=1))
    day = Cap(most=breaker.address_per_day, per=timedelta(days=1))
    return full([hour, day], [Counted("", "", at) for at in sent], now, pace) if sent else None


def full(caps: Sequence[Cap], counted: Sequence[Counted], now: datetime, pace: float = 1.0) -> Full | None:
    """Whether `caps` (see `applying`) leave no room now; None where one more message fits.

    A span of a cap lasts `per / pace` of real time: a paced run counts on its own clock.
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
            until = inside[-cap.most] + span  # then one fewer than `most` are left inside
            if worst is None or until > worst.until:
                worst = Full(cap, until)
    return worst
