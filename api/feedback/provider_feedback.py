"""Store what providers report about messages: ledger, suppressions and events, many reports in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store.people.consents import reachability, suppressions
from store.runs.events import events
from store.schema.addresses import address_hash
from store.schema.rows import Channel
from store.sending import send_outcomes
from store.sending.feedback import bounces, recipients
from store.sending.messages import messages
from store.sending.messages.messages import Message, Progress


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a provider about one message. `message_id` names the message, else the provider's own id does.

    A fact that can happen only once to a message has a name in `once`, so repeated reports of it are stored once. A
    fact that can happen again is stored once for each `notification`. `event` is None if tracks do not need the report,
    `progress` is None if the report says nothing about the delivery.

    With a `suppress_reason` the address that the message went to is suppressed, even if the contact has another address
    now. With `soft` its bounces in a row are counted. Only that address is suppressed: `named` are the addresses in the
    report, and if it names another one, either the mail was `forwarded` or the report is not believed. `sent_to` is the
    address to which the provider says it sent the message.
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
    suppress_reason: str = ""
    soft: bool = False
    named: Sequence[str] = ()
    sent_to: Sequence[str] = ()
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """Whether the message is known, and what became of the event, if there was one.

    `others` counts the addresses that the provider named but the message did not go to. They are not suppressed.
    `after_delivery` marks a bounce, not a permanent one, of a message that had arrived. Tracks do not receive it: most
    such bounces are automatic answers.
    """

    known: bool
    accepted: events.Accepted | None = None
    others: int = 0
    after_delivery: bool = False


async def take(tx: AsyncConnection, reports: Sequence[Report], *, pace: float) -> list[Reported]:
    """Store reports. Returns one result for each, in order. `pace` is that of runs which an entry rule starts.

    What happens to a message to somebody else is no event of the contact: it is in the ledger only.

    All transactions lock in this order: contacts and enrollments (by the events), then messages, then addresses. A
    repeated report with the same name does not suppress again: an operator may have lifted the suppression since.
    """
    by_id = await messages.get_many(tx, {report.message_id for report in reports if report.message_id})
    found = [await _find(tx, report, by_id) for report in reports]
    concerned = await _hold_concerned(tx, reports, found)
    late = _after_delivery(reports, found)
    told = [
        (index, _event(report, message))
        for index, (report, message) in enumerate(zip(reports, found, strict=True))
        if message is not None and report.event is not None and index not in late and not message.recipient
    ]
    answers = await events.accept_many(tx, [event for _, event in told], pace=pace) if told else []
    accepted = {index: answer for (index, _), answer in zip(told, answers, strict=True)}
    pairs = [(report, message) for report, message in zip(reports, found, strict=True) if message is not None]
    await send_outcomes.record_callbacks(
        tx,
        [
            send_outcomes.Callback(message.id, report.progress, report.provider_id, report.reason)
            for report, message in pairs
            if report.progress is not None
        ],
    )
    answers_in_order = []
    for index, (report, message) in enumerate(zip(reports, found, strict=True)):
        answer, others = accepted.get(index), 0
        repeated = answer.duplicate if answer else message is not None and _known_of_somebody_else(report, message)
        if message is not None and index not in late and not repeated:
            others = await _keep_from(tx, report, message)
        answers_in_order.append(Reported(message is not None, answer, others, index in late))
    await reachability.tell(tx, concerned, pace=pace)
    return answers_in_order


async def _hold_concerned(
    tx: AsyncConnection, reports: Sequence[Report], found: Sequence[Message | None]
) -> Sequence[str]:
    """Lock the contacts whose addresses these reports may suppress, if a segment asks who can be reached."""
    pairs = [
        (report, message)
        for report, message in zip(reports, found, strict=True)
        if message is not None and (report.suppress_reason or report.soft)
    ]
    if not pairs:
        return ()
    return await reachability.hold(
        tx,
        addresses=[(message.channel, one) for report, message in pairs for one in report.named],
        hashes={message.address_hash for _, message in pairs if message.address_hash},
    )


def _known_of_somebody_else(report: Report, message: Message) -> bool:
    """Whether the report only repeats what is known of a message to somebody else, about whom no event is told."""
    return bool(message.recipient) and report.progress is not None and message.delivery == report.progress


def _after_delivery(reports: Sequence[Report], found: Sequence[Message | None]) -> set[int]:
    """Indexes of the reports that are non-permanent bounces of messages known to have arrived."""
    arrived = {message.id for message in found if message is not None and message.delivery == "delivered"}
    pairs = list(enumerate(zip(reports, found, strict=True)))
    arrived |= {message.id for _, (report, message) in pairs if message and report.progress == "delivered"}
    return {
        index
        for index, (report, message) in pairs
        if message is not None
        and message.id in arrived
        and report.progress == "bounced"
        and bounces.is_soft(report.reason)
    }


async def _keep_from(tx: AsyncConnection, report: Report, message: Message) -> int:
    """Suppress the message's address if the report asks for it. Returns how many other addresses the report names."""
    if not report.suppress_reason and not report.soft:
        return 0
    own = await recipients.hash_of(tx, message, [*report.named, *report.sent_to])
    named = {address_hash(message.channel, one) for one in report.named}
    others = len(named - {own})
    if own is None or (named and own not in named and not report.forwarded):
        return others
    if report.suppress_reason:
        await suppressions.add_hashed(tx, [(message.channel, own)], report.suppress_reason)
    if report.soft:
        await bounces.suppress_if_many(tx, message, own)
    return others


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
    """The properties of every event about a message. `topic` only where the message has one."""
    return {
        "message_id": message.id,
        "track": message.track,
        "step": message.step,
        "enrollment_id": message.enrollment_id,
        **({"topic": message.topic} if message.topic else {}),
    }
