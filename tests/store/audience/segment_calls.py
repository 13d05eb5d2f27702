"""Helpers for tests of segments: publish and fill them, let time pass, and read members in two ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from audience.segments.document import segment_from_data
from store.audience.fills import segment_fills
from store.audience.memberships import due_memberships
from store.audience.segments.segment_check import Checked, check
from store.published import segments
from store.published.segments import Existing
from store.published.versions import Published
from store.runs.events import events
from tests.store.store_calls import NOW, StoreCalls


async def publish(
    store: StoreCalls,
    name: str,
    members: Any,
    *,
    existing: Existing = "ignore",
    now: datetime = NOW,
    min_stay: str = "",
) -> Published:
    """Publish a segment; its filling begins with the next `fill`."""
    data = {"segment": name, "members": members, **({"min_stay": min_stay} if min_stay else {})}
    async with store.db.transaction() as tx:
        return await segments.publish(tx, segment_from_data(data), str(data), data, existing=existing, now=now)


async def fill(store: StoreCalls, now: datetime = NOW) -> None:
    """Do all work on published versions."""
    while True:
        async with store.db.transaction() as tx:
            updated = await segment_fills.step(tx, now)
            if updated is None:
                return
            await events.tell_changes(tx, updated, now=now, bulk=True)


async def live(store: StoreCalls, name: str, members: Any, **more: Any) -> None:
    """Publish a segment and fill it."""
    await publish(store, name, members, **more)
    await fill(store, more.get("now", NOW))


async def pass_time(store: StoreCalls, now: datetime) -> None:
    """Do all that is due at that moment."""
    while True:
        async with store.db.transaction() as tx:
            held = await due_memberships.take_due(tx, now)
            if not held:
                return
            await events.tell_changes(tx, await due_memberships.update_due(tx, held, now), now=now)


async def members(store: StoreCalls, name: str) -> list[str]:
    """The members as conditions and templates see them."""
    rows = await store.rows(
        "SELECT m.contact_id FROM membership m JOIN segment s ON s.name = m.segment AND s.live = m.version"
        " WHERE m.member AND m.segment = :name ORDER BY 1",
        name=name,
    )
    return [row.contact_id for row in rows]


async def checked(store: StoreCalls, name: str, now: datetime) -> Checked:
    """Members beside a full evaluation."""
    async with store.db.transaction() as tx:
        summary = await segments.get(tx, name)
        assert summary is not None
        return await check(tx, summary, now, after="", limit=1000)


async def told(store: StoreCalls, contact_id: str = "ann") -> list[tuple[str, str]]:
    """What was told of a contact: entered or left, and which segment, in order."""
    rows: Sequence[Any] = await store.rows(
        "SELECT name, properties, event_id FROM event WHERE contact_id = :id AND name LIKE 'segment.%'"
        " ORDER BY received_at, occurred_at, split_part(event_id, ':', 4)::int",
        id=contact_id,
    )
    return [(row.name.removeprefix("segment."), row.properties["segment"]) for row in rows]


def plan(value: str) -> Mapping[str, Any]:
    """Changes of a contact: the attribute `plan`."""
    return {"attributes": {"plan": value}}
