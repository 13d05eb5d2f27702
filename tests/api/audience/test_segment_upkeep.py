"""What every worker does for segments: time passes, versions are filled, and one bad contact holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.audience import segment_upkeep
from api.audience.segment_upkeep import SegmentUpkeep
from store.audience.memberships import due_memberships
from store.audience.memberships.memberships import Updated
from store.engine.sql import utc_now
from store.people import contacts
from store.published import segments
from store.runs.events import events
from tests.store.audience.segment_calls import fill, live, members, publish, told
from tests.store.store_calls import StoreCalls

QUIET = {"did_not": "app.used", "within": "14d"}


@pytest.fixture
def store(db: Any) -> StoreCalls:
    return StoreCalls(db)


async def use(store: StoreCalls, who: str, at: datetime) -> None:
    await store.accept(events.Event(f"use-{who}", who, "app.used", {}, at), now=utc_now())


async def test_while_it_runs_a_segment_is_filled_and_silence_is_told_within_seconds(store: StoreCalls) -> None:
    await store.contact("ann")
    await publish(store, "quiet", QUIET)
    await use(store, "bob", utc_now() - timedelta(days=14) + timedelta(seconds=1))
    async with SegmentUpkeep(store.db):
        for _ in range(100):
            if await members(store, "quiet") == ["ann", "bob"]:
                break
            await asyncio.sleep(0.1)
    assert await members(store, "quiet") == ["ann", "bob"]
    assert await told(store, "bob") == [("entered", "quiet")] and await told(store, "ann") == []


async def test_any_number_of_processes_share_what_is_due_and_tell_each_change_once(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    now = utc_now()
    who = [f"c{number}" for number in range(450)]
    await store.accept(*(events.Event(one, one, "app.used", {}, now) for one in who), now=now)
    later = now + timedelta(days=15)
    upkeep = [SegmentUpkeep(store.db) for _ in range(4)]

    async def work(one: SegmentUpkeep) -> None:
        while await one.update_due(later):
            pass

    while await members(store, "quiet") != sorted(who):
        await asyncio.gather(*(work(one) for one in upkeep))
    rows = await store.rows(
        "SELECT count(*) AS n, count(DISTINCT contact_id) AS people FROM event WHERE name <> 'app.used'"
    )
    assert (rows[0].n, rows[0].people) == (450, 450)


async def test_a_contact_that_fails_is_put_off_and_holds_up_nobody(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(store, "quiet", QUIET)
    now = utc_now()
    for who in ("ann", "bad", "eve"):
        await use(store, who, now)
    true_update = due_memberships.update_due

    async def failing(tx: Any, held: Any, at: datetime) -> Updated:
        if "bad" in held:
            raise ValueError("this contact's data")
        return await true_update(tx, held, at)

    monkeypatch.setattr(due_memberships, "update_due", failing)
    later = now + timedelta(days=15)
    while await SegmentUpkeep(store.db).update_due(later):
        pass
    assert await members(store, "quiet") == ["ann", "eve"]
    row = (await store.rows("SELECT changes_at FROM membership WHERE contact_id = 'bad'"))[0]
    assert row.changes_at == later + segment_upkeep.AGAIN


async def test_a_change_by_time_begins_a_run_with_the_pace_of_entries(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await store.publish("track: save\nentry: {segment: quiet}\nsteps: [{id: wait, wait: 3d}]\n")
    now = utc_now()
    await use(store, "ann", now - timedelta(days=13))
    await SegmentUpkeep(store.db, pace=7.0).update_due(now + timedelta(days=2))
    rows: Sequence[Any] = await store.rows("SELECT contact_id, pace, track FROM enrollment")
    assert [(row.contact_id, row.pace, row.track) for row in rows] == [("ann", 7.0, "save")]


async def test_first_members_that_are_to_enter_tracks_go_by_the_slow_lane(store: StoreCalls) -> None:
    await store.publish("track: save\nentry: {segment: team}\nsteps: [{id: wait, wait: 3d}]\n")
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, "ann", {"attributes": {"plan": "team"}})
    await publish(store, "team", 'contact.attributes.plan == "team"', existing="enter", now=utc_now())
    await fill(store, utc_now())
    rows = await store.rows("SELECT o.kind, o.bulk FROM outbox o JOIN enrollment e ON e.id = o.enrollment_id")
    assert [(row.kind, row.bulk) for row in rows] == [("start", True)]
    async with store.db.transaction() as tx:
        assert (await segments.version(tx, "team", 1)).state == "live"  # type: ignore[union-attr]
