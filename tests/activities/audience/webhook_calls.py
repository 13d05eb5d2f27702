"""Calls for tests of the webhooks that segments are sent on to."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from sqlalchemy import text

from activities.audience.segment_webhooks import SegmentWebhooks
from store.audience.webhooks import destinations
from store.audience.webhooks.destinations import Destination
from store.people import contacts
from tests.activities.audience.audience_receiver import AudienceReceiver
from tests.store.audience.segment_calls import plan
from tests.store.store_calls import NOW, StoreCalls

TEAM = 'contact.attributes.plan == "team"'


async def put(store: StoreCalls, there: AudienceReceiver, segment: str = "team", **more: Any) -> None:
    """Make the webhook `ads` of a segment; what changes is due at once."""
    wanted: dict[str, Any] = {"url": there.url, "fields": [], "batch": 100, "wait": 0.0, "paused": False, "now": NOW}
    wanted |= more
    async with store.db.transaction() as tx:
        there.secret = await destinations.put(tx, segment, "ads", **wanted) or there.secret


async def ads(store: StoreCalls, segment: str = "team") -> Destination:
    async with store.db.transaction() as tx:
        found = await destinations.get(tx, segment, "ads")
    assert found is not None
    return found


async def set_plan(store: StoreCalls, who: str, to: str, **more: Any) -> None:
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, who, {**plan(to), **more}, now=NOW)  # type: ignore[typeddict-item]


async def set_size(store: StoreCalls, who: str, size: int) -> None:
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, who, {"attributes": {"size": size}}, now=NOW)


async def send(sender: SegmentWebhooks, now: datetime = NOW, *, patience: int = 200) -> int:
    """Do all that is due at that moment; returns how many calls were made.

    A comparison waits for the transactions of the whole server, also for those of other tests.
    """
    calls = 0
    while True:
        if await sender.compare(now):
            continue
        if batch := await sender.claim(now):
            await sender.deliver(batch, now)
            calls += 1
        elif patience and await _compares(sender):
            patience -= 1
            await asyncio.sleep(0.05)
        else:
            return calls


async def _compares(sender: SegmentWebhooks) -> bool:
    async with sender._db.transaction() as tx:
        return bool((await tx.execute(text("SELECT count(*) FROM segment_webhook WHERE comparing <> ''"))).scalar_one())
