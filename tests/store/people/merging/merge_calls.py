"""Helpers of the tests of merges: merge, undo, and all that is stored of contacts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from store.people.merging import merge, unmerge
from store.people.merging.merge import Merged
from store.people.merging.unmerge import Unmerged
from tests.store.store_calls import NOW, StoreCalls

FACTS = {
    "contact": "id, email, phone, timezone, locale, attributes, paused_until",
    "event": "event_id, contact_id, name, properties, occurred_at",
    "consent": "contact_id, channel, topic, status, source, at, confirmed_at",
    "consent_change": "contact_id, channel, topic, status, source, at",
    "suppression": "channel, address_hash, reason, at",
    "enrollment": "id::text, contact_id, track, key, slot, status, end_reason",
    "message": "effect_key, contact_id, status, reason",
    "crm_contact": "contact_id, stage, fields",
    "crm_note": "contact_id, body",
    "stripe_customer": "customer_id, contact_id",
    "merged_id": "id, contact_id",
    "membership": "contact_id, segment, version, member",
}
"""What a test compares, by table. A membership without a member is as good as none."""


async def merged(store: StoreCalls, into: str = "ann", from_: str = "bob", now: datetime = NOW, **more: Any) -> Merged:
    async with store.db.transaction() as tx:
        return await merge.merge(tx, into, from_, by="tests", now=now, **more)


async def unmerged(store: StoreCalls, into: str = "ann", from_: str = "bob", now: datetime = NOW) -> Unmerged:
    async with store.db.transaction() as tx:
        return await unmerge.unmerge(tx, into, from_, by="tests", now=now)


async def facts(store: StoreCalls, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that is stored of contacts, by table."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table, names in FACTS.items():
        if table not in without:
            where = "WHERE member" if table == "membership" else ""
            rows = await store.rows(f"SELECT {names} FROM {table} {where}")
            found[table] = sorted((tuple(row) for row in rows), key=repr)
    return found
