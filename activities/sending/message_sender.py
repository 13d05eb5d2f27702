"""How every message is sent: claim it in the ledger, send it once, settle it. No message is sent twice (law 3).

One transaction makes the claim, with all checks that protect the contact, and renders the message. The provider is
called outside of any transaction. A second transaction records the outcome. A claim that an earlier attempt left behind
is `unknown`; it is never a reason to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.contract import SendResult, StepCall
from activities.providers.provider_errors import DAILY_QUOTA, Fault, ProviderError, Verdict
from activities.sending.permanent_failures import fail
from activities.sending.step_message import ElsewhereError, settle_channel
from activities.shared.matched_event import matched_event
from activities.shared.step_content import Draft
from activities.shared.temporal_errors import again_later
from store.engine.database import Database
from store.engine.group_commit import GroupCommit
from store.schema.rows import Channel, Enrollment, Pin, Pinned
from store.sending import ledger, send_outcomes
from store.sending.ledger import Claim
from store.sending.messages.messages import Message
from store.sending.policy import breakers
from store.sending.send_outcomes import Sent
from tracks.content.rendering.template_error import TemplateError
from tracks.model.message_rules import MessageRules

Outgoing = TypeVar("Outgoing")
Written = TypeVar("Written")

_SETTLE_AGAIN_AFTER = (0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 4.0)
"""Seconds. A database that restarts is back by then, and an attempt may take that long (`workflows.retry_policies`).
After the last pause the row stays `sending`, and the next attempt finds it so."""

log = structlog.get_logger(__name__)


class MessageKind(Protocol[Written, Outgoing]):
    """The differences between an email and a text message; `Written` is the step with its defaults filled in."""

    channel: Channel

    async def read(self, tx: AsyncConnection, pinned: Pinned, step: str) -> Written:
        """The message in the enrollment's track version. Raises LookupError if that has no such step."""
        ...

    def rules(self, written: Written) -> MessageRules:
        """The rules that are checked when it is claimed."""
        ...

    async def compose(self, tx: AsyncConnection, written: Written, draft: Draft) -> Outgoing:
        """Render the message. Raises TemplateError."""
        ...

    async def deliver(self, outgoing: Outgoing) -> str:
        """Send it through the provider, once; returns the provider's id. Raises ProviderError."""
        ...


class _Reader(Generic[Written]):
    """Reads the message during the claim, when the enrollment is known, and keeps it for rendering."""

    def __init__(self, kind: MessageKind[Written, Any], call: StepCall) -> None:
        self._kind = kind
        self._call = call
        self._pin: Pin | None = None
        self.written: Written | None = None

    async def ahead(self, tx: AsyncConnection) -> MessageRules:
        """The message's rules as they probably are, if the call names the track version."""
        pin = Pin(self._call.track, self._call.version)
        if pin.version:
            with suppress(LookupError, TypeError):  # `rules` raises it again, unless the run is over by then
                return self._kind.rules(await self._written(tx, pin))
        return MessageRules()

    async def rules(self, tx: AsyncConnection, enrollment: Enrollment) -> MessageRules:
        await settle_channel(tx, enrollment, self._call, self._kind.channel)
        return self._kind.rules(await self._written(tx, Pin(enrollment.track, enrollment.version)))

    async def _written(self, tx: AsyncConnection, pin: Pin) -> Written:
        if self.written is None or pin != self._pin:
            self._pin, self.written = pin, await self._kind.read(tx, pin, self._call.step)
        return self.written


class Sender(Generic[Written, Outgoing]):
    """Sends one kind of message."""

    def __init__(self, db: Database, kind: MessageKind[Written, Outgoing]) -> None:
        self._db = db
        self._kind = kind
        self._sent = GroupCommit(db, send_outcomes.settle_sent, begin=db.statement)

    async def send(self, call: StepCall) -> SendResult:
        """Send the message of a step, or return why it is not sent.

        Raises ApplicationError (`ProviderThrottled`, `ProviderUnavailable`) if it was certainly not sent and may be
        tried again; the claim is released by then.
        """
        token = uuid4().hex
        async with self._db.transaction() as tx:
            reader = _Reader(self._kind, call)
            try:
                claim = await self._claim(tx, call, token, reader)
            except ElsewhereError as better:
                return SendResult(outcome="elsewhere", channel=better.channel)
            except LookupError:
                return SendResult(outcome="ended", reason="no such enrollment")
            if claim.decision != "granted":
                return _answer(claim)
            written = reader.written
            assert claim.run.contact is not None
            assert written is not None
            try:
                draft = Draft(
                    claim.message_id,
                    claim.run.enrollment,
                    claim.run.contact,
                    claim.newest,
                    claim.first,
                    call.due,
                    await matched_event(tx, claim.run.enrollment, call.event_id),
                    claim.address,
                )
                outgoing = await self._kind.compose(tx, written, draft)
            except TemplateError as error:
                reason = f"template: {error.code}"
                failed = await send_outcomes.settle(tx, claim.message_id, token=token, outcome="failed", reason=reason)
                return result_of(failed)
        try:
            provider_id = await self._kind.deliver(outgoing)
        except ProviderError as error:
            return await self._not_delivered(claim.message_id, token, error.fault, claim.address)
        sent = Sent(claim.message_id, provider_id)
        return result_of(await _surely(lambda: self._sent.accept(sent)))

    async def _claim(self, tx: AsyncConnection, call: StepCall, token: str, reader: _Reader[Written]) -> Claim:
        ahead = await reader.ahead(tx)
        return await ledger.claim(
            tx,
            enrollment_id=call.enrollment_id,
            step=call.step,
            occurrence=call.occurrence,
            channel=self._kind.channel,
            token=token,
            rules=reader.rules,
            template=ahead.template,
            to=ahead.to,
            path=call.path,
            due=call.due,
        )

    async def _not_delivered(self, message_id: str, token: str, fault: Fault, address: str | None) -> SendResult:
        log.warning("not delivered", message_id=message_id, fault=str(fault), verdict=fault.verdict.value)
        reason = str(fault)
        if fault.verdict in (Verdict.RETRY, Verdict.WAIT):
            row = await self._write(lambda tx: self._give_back(tx, message_id, token, fault))
            if row.status == "released":
                raise again_later(fault)
        elif fault.verdict is Verdict.GIVE_UP:
            row = await self._write(
                lambda tx: fail(tx, message_id, token=token, fault=fault, channel=self._kind.channel, address=address)
            )
        else:
            row = await self._write(
                lambda tx: send_outcomes.settle(tx, message_id, token=token, outcome="unknown", reason=reason)
            )
        return result_of(row)

    async def _give_back(self, tx: AsyncConnection, message_id: str, token: str, fault: Fault) -> Message:
        """Release the claim. If the account's quota for the day is used up, open the breaker to hold the others."""
        row = await send_outcomes.release(tx, message_id, token=token, reason=str(fault))
        if fault.code == DAILY_QUOTA:
            scope, now = breakers.account(self._kind.channel), datetime.now(UTC)
            until = now + (fault.retry_after or timedelta(minutes=10))
            if await breakers.trip(tx, scope, "provider", "the 24 hours' quota is used up", until=until, now=now):
                log.error("breaker opened", scope=scope, cause="provider", fault=str(fault))
        return row

    async def _write(self, write: Callable[[AsyncConnection], Awaitable[Message]]) -> Message:
        async def attempt() -> Message:
            async with self._db.transaction() as tx:
                return await write(tx)

        return await _surely(attempt)


async def _surely(write: Callable[[], Awaitable[Message]]) -> Message:
    """Write a message's outcome, with retries: a short loss of the database must not make the outcome unknown."""
    for pause in (*_SETTLE_AGAIN_AFTER, None):
        try:
            return await write()
        except (SQLAlchemyError, OSError):
            if pause is None:
                raise
        await asyncio.sleep(pause)
    raise AssertionError("the loop above returns or raises")


def _answer(claim: Claim) -> SendResult:
    if claim.decision == "ended":
        return SendResult(outcome="ended", reason=claim.reason, message_id=claim.message_id)
    if claim.decision == "unknown":
        return SendResult(outcome="unknown", message_id=claim.message_id)
    if claim.decision == "deferred":
        return SendResult(
            outcome="deferred", reason=claim.reason, until=claim.until, message_id=claim.message_id, why=claim.why
        )
    return _settled(claim.status or "unknown", claim.reason, claim.message_id)


def result_of(message: Message) -> SendResult:
    """The result for the workflow, from the message's row in the ledger."""
    return _settled(message.status, message.reason, message.id)


def _settled(status: str, reason: str, message_id: str) -> SendResult:
    match status:
        case "sent":
            return SendResult(outcome="sent", reason=reason, message_id=message_id)
        case "failed":
            return SendResult(outcome="failed", reason=reason, message_id=message_id)
        case "skipped":
            return SendResult(outcome="skipped", reason=reason, message_id=message_id)
        case "released":
            return SendResult(outcome="deferred", reason=reason, until=datetime.now(UTC), message_id=message_id)
        case _:  # `sending` is another attempt's claim whose end this call does not know
            return SendResult(outcome="unknown", reason=reason, message_id=message_id)
