"""Storing what providers say about messages: ledger, suppressions and events, many in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store import bounces, events, messages, settling, suppressions
from store.messages import Message, Progress
from store.rows import Channel


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a provider says about one message, which `message_id` names or else the provider's own id.

    What happens to a message once has a name for it (`once`), so that it is told once whoever repeats it; what may
    happen again is told once for each `notification`. `event` is None where it means nothing to tracks, `progress`
    where it says nothing of the delivery. `suppress` are addresses that must not be written to again: those that the
    provider names, whatever address the contact has by now. `soft` are addresses whose bounces in a row count.
    """

    provider: str
    channel: Channel
    message_id: str | None
    at: datetime
    event: str | None = None
    once: str = ""
    notification: str = ""
    progress: Progress | None = None
    reason: str = ""
    provider_id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    suppress: Sequence[str] = ()
    suppress_reason: str = ""
    soft: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Reported:
    """Whether there is such a message, and what became of the event, where there was one."""

    known: bool
    accepted: events.Accepted | None = None


async def take(tx: AsyncConnection, reports: Sequence[Report], *, pace: float) -> list[Reported]:
    """Store them, one answer each, in order. `pace` is that of runs they begin by an entry rule.

    The order is everybody's: contacts and enrollments (by the events), then messages, then addresses.
    """
    by_id = await messages.get_many(tx, {report.message_id for report in reports if report.message_id})
    found = [await _find(tx, report, by_id) for report in reports]
    told = [
        (index, _event(report, message))
        for index, (report, message) in enumerate(zip(reports, found, strict=True))
        if message is not None and report.event is not None
    ]
    answers = await events.accept_many(tx, [event for _, event in told], pace=pace) if told else []
    accepted = {index: answer for (index, _), answer in zip(told, answers, strict=True)}
    pairs = [(report, message) for report, message in zip(reports, found, strict=True) if message is not None]
    await settling.record_callbacks(
        tx,
        [
            settling.Callback(message.id, report.progress, report.provider_id, report.reason)
            for report, message in pairs
            if report.progress is not None
        ],
    )
    for report, message in pairs:
        for address in sorted(report.suppress):
            await suppressions.add(tx, message.channel, address, report.suppress_reason)
        for address in sorted(report.soft):
            await bounces.suppress_if_many(tx, message, address)
    return [Reported(message is not None, accepted.get(index)) for index, message in enumerate(found)]


async def _find(tx: AsyncConnection, report: Report, by_id: dict[str, Message]) -> Message | None:
    if report.message_id is not None:
        found = by_id.get(report.message_id)
    elif report.provider_id:
        found = await messages.by_provider_id(tx, report.channel, report.provider_id)
    else:
        found = None
    return found if found is not None and found.channel == report.channel else None


def _event(report: Report, message: Message) -> events.Event:
    assert report.event is not None
    told_by = f"{message.id}:{report.once}" if report.once else report.notification
    return events.Event(
        event_id=f"{report.provider}:{told_by}",
        contact_id=message.contact_id,
        name=report.event,
        properties=about(message) | report.properties,
        occurred_at=min(report.at, datetime.now(UTC)),
    )


def about(message: Message) -> dict[str, Any]:
    """The properties that every event about a message has."""
    return {
        "message_id": message.id,
        "track": message.track,
        "step": message.step,
        "enrollment_id": message.enrollment_id,
    }
