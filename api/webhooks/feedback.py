"""Storing what a provider says about a message: ledger, suppression and event in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store import events, ledger, suppressions
from store.messages import Message, Progress


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing that a provider says about one message."""

    message: Message
    event_id: str
    event: str | None
    at: datetime
    progress: Progress | None = None
    reason: str = ""
    provider_id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    suppress: Sequence[str] = ()
    suppress_reason: str = ""


async def store(tx: AsyncConnection, feedback: Feedback, *, pace: float) -> events.Accepted | None:
    """Store it; None where it means nothing to tracks. `pace` is that of runs it begins by an entry rule.

    The event goes first and the message last: everyone locks contact, enrollment, message in this order.
    """
    message, accepted = feedback.message, None
    if feedback.event is not None:
        accepted = await events.accept(
            tx,
            events.Event(
                event_id=feedback.event_id,
                contact_id=message.contact_id,
                name=feedback.event,
                properties=about(message) | feedback.properties,
                occurred_at=min(feedback.at, datetime.now(UTC)),
            ),
            pace=pace,
        )
    for address in feedback.suppress:
        await suppressions.add(tx, message.channel, address, feedback.suppress_reason)
    if feedback.progress is not None:
        await ledger.record_callback(
            tx, message.id, feedback.progress, provider_id=feedback.provider_id, reason=feedback.reason
        )
    return accepted


def about(message: Message) -> dict[str, Any]:
    """The properties that every event about a message has."""
    return {
        "message_id": message.id,
        "track": message.track,
        "step": message.step,
        "enrollment_id": message.enrollment_id,
    }
