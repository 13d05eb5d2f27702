"""Send segments on to their webhooks as they change. Every worker does it; one at a time calls a webhook."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from activities.providers.ports import WebhookCall, WebhookCaller
from activities.providers.provider_errors import BROKEN_OFF, Fault, ProviderError
from store.audience.webhooks import batches, comparing
from store.audience.webhooks.batches import Batch, Waiting
from store.engine.background.background_tasks import BackgroundTask, ended
from store.engine.database import Database
from store.schema.rows import Contact

LOOK = 1.0
"""Seconds between two searches, if the last one found nothing."""
PLACES = 8
"""Webhooks that one process calls at the same time: a slow one holds up none of the others."""
CALL = batches.LEASE - timedelta(seconds=20)
"""How long a call may take, however long the caller itself would wait: another process may call after the lease."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=15)
"""The wait after the first failure, which doubles with each further one, and the longest."""
LONGEST_ASKED = timedelta(hours=1)
"""The longest wait that a receiver may ask for by `Retry-After`."""
GIVE_UP = timedelta(days=1)
"""A webhook that has accepted nothing for so long pauses by itself; what waits for it is kept."""
GONE = 410
"""A receiver with this status wants no more calls (Standard Webhooks): the webhook pauses at once."""

log = structlog.get_logger(__name__)


class SegmentWebhooks(BackgroundTask):
    """Queues what is to be sent and calls webhooks, while it is open."""

    def __init__(self, db: Database, caller: WebhookCaller) -> None:
        self._db, self._caller = db, caller

    async def _run(self) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                busy = False
                try:
                    busy = await self.compare()
                    while len(running) < PLACES and (batch := await self.claim()) is not None:
                        running.add(asyncio.create_task(self._send(batch)))
                except Exception as error:  # the database failed; it is tried again
                    log.warning("segments are not sent on", error=type(error).__name__, why=str(error))
                if busy:
                    await asyncio.sleep(0)
                elif running:
                    await asyncio.wait(running, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(LOOK)
                running = {task for task in running if not task.done()}
        finally:
            await ended(*running)

    async def compare(self, now: datetime | None = None) -> bool:
        """Queue the next contacts of a full send or of a comparison. False if there are none."""
        async with self._db.transaction() as tx:
            return await comparing.step(tx, now or datetime.now(UTC))

    async def claim(self, now: datetime | None = None) -> Batch | None:
        """Take what is to be sent next."""
        async with self._db.transaction() as tx:
            return await batches.claim(tx, now or datetime.now(UTC))

    async def _send(self, batch: Batch) -> None:
        try:
            await self.deliver(batch)
        except Exception as error:  # the lease ends, and it is sent again
            log.warning("a segment's webhook could not be called", segment=batch.segment, error=type(error).__name__)

    async def deliver(self, batch: Batch, now: datetime | None = None) -> bool:
        """Call the webhook and store how it went. Returns whether the receiver has accepted the batch."""
        call = WebhookCall(_call_id(batch), batch.url, body_of(batch, now or datetime.now(UTC)), batch.secret)
        fault: Fault | None = None
        try:
            async with asyncio.timeout(CALL.total_seconds()):
                await self._caller.call(call)
        except ProviderError as error:
            fault = error.fault
        except TimeoutError:
            fault = Fault("webhook", BROKEN_OFF)
        now = now or datetime.now(UTC)
        async with self._db.transaction() as tx:
            if fault is None:
                await batches.settle(tx, batch, now)
                return True
            pause = _pause(batch, fault, now)
            await batches.fail(tx, batch, now, error=str(fault), again_at=now + _wait(batch, fault), pause=pause)
        if pause:
            log.error("a segment's webhook is paused", segment=batch.segment, webhook=batch.name, why=str(fault))
        return False


def body_of(batch: Batch, now: datetime) -> Mapping[str, Any]:
    """The body of the call."""
    data: dict[str, Any] = {"segment": batch.segment, "webhook": batch.name}
    if batch.complete_from is not None:
        return _message("segment.complete", now, data | {"from_seq": batch.complete_from})
    return _message("segment.members", now, data | {"changes": [_change(one, batch.fields) for one in batch.changes]})


def _message(kind: str, now: datetime, data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": kind, "timestamp": now.isoformat(), "data": data}


def _change(one: Waiting, fields: Sequence[str]) -> Mapping[str, Any]:
    told = {
        "contact_id": one.contact_id,
        "member": one.member,
        "since": one.since.isoformat(),
        "seq": one.seq,
        "erased": one.erased,
        "changed": one.changed,
    }
    return told | {"contact": {name: _value(one.contact, name) for name in fields} if one.contact else {}}


def _value(contact: Contact, field: str) -> Any:
    """A field of the contact, as it is now; None if there is none.

    Hashes are those of advertising audiences: SHA-256, in hex, of the address without space and in small letters, or of
    the number in E.164.
    """
    match field:
        case "email" | "phone" | "timezone" | "locale":
            return getattr(contact, field)
        case "email_sha256":
            return _sha256((contact.email or "").strip().lower())
        case "phone_sha256":
            return _sha256((contact.phone or "").strip())
    return (contact.attributes or {}).get(field.removeprefix("attributes."))


def _sha256(text: str) -> str | None:
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _call_id(batch: Batch) -> str:
    """The same for the same changes, so that a receiver recognises a repeat."""
    said = f"{batch.webhook}:{batch.complete_from}:{[one.seq for one in batch.changes]}"
    return f"segment-{hashlib.sha256(said.encode()).hexdigest()[:40]}"


def _wait(batch: Batch, fault: Fault) -> timedelta:
    """How long until the next attempt. A random part keeps the webhooks of one receiver from coming at once."""
    doubled: timedelta = FIRST_WAIT * (1 << min(batch.failures, 16))
    wait = min(doubled, LONGEST_WAIT) * random.uniform(0.8, 1.2)
    return max(wait, min(fault.retry_after or wait, LONGEST_ASKED))


def _pause(batch: Batch, fault: Fault, now: datetime) -> str:
    """Why the webhook is paused from now on; empty if it is not."""
    if fault.status == GONE:
        return "gone"
    return "failing" if batch.failing_since is not None and now - batch.failing_since >= GIVE_UP else ""
