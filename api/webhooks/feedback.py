"""Storing what a provider says about a message: ledger, suppression and event in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store import bounces, events, ledger, suppressions
from store.messages import Message, Progress


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing that a provider says about one message.

    `suppress` are addresses that must not be written to again: those that the provider names, whatever address the
    contact has by now. `soft` are addresses whose bounces in a row count.
    """

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
    soft: Sequence[str] = ()


async def store(tx: AsyncConnection, feedback: Feedback, *, pace: float) -> events.Accepted | None:
    """Store it; None where it means nothing to tracks. `pace` is that of runs it begins by an entry rule.

    The order is everybody's: contact and enrollment (by the event), then the message, then addresses.
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
    if feedback.progress is not None:
        await ledger.record_callback(
            tx, message.id, feedback.progress, provider_id=feedback.provider_id, reason=feedback.reason
        )
    for address in sorted(feedback.suppress):
        await suppressions.add(tx, message.channel, address, feedback.suppress_reason)
    for address in sorted(feedback.soft):
        await bounces.suppress_if_many(tx, message, address)
    return accepted


def about(message: Message) -> dict[str, Any]:
    """The properties that every event about a message has."""
    return {
        "message_id": message.id,
        "track": message.track,
        "step": message.step,
        "enrollment_id": message.enrollment_id,
    }
