"""The doctor's SQL: a start that continues its path, an end signaled again, and why a delivery waits."""

from __future__ import annotations

from datetime import UTC, datetime

from store.engine.database import Database
from store.engine.outbox_listener import Listener
from store.operations import doctor
from store.runs.enrollments import enrollments
from store.runs.outbox import outbox
from tests.store.store_calls import NOW, TRIAL, StoreCalls, rows_of
from tracks.runs.run_interface import EventSignal, PathEntry


async def test_a_run_that_begins_anew_goes_on_with_its_path_and_is_started_once(
    store: StoreCalls, db: Database
) -> None:
    enrollment = await store.live()
    async with db.transaction() as tx:
        assert not await doctor.start_again(tx, enrollment.id), "its start waits already"
        rows = rows_of(await outbox.pending(tx, now=NOW))
        await outbox.delivered(tx, [row.id for row in rows], now=NOW)
        entry = PathEntry(seq=6, step="hello", kind="email", outcome="sent", at=NOW)
        await enrollments.report_path(tx, enrollment.id, [entry])
        assert await doctor.start_again(tx, enrollment.id, now=NOW)
        assert not await doctor.start_again(tx, enrollment.id, now=NOW)
    assert await store.waiting() == [("start", {"seq": 7})]
    await store.close(enrollment.id)
    async with db.transaction() as tx:
        assert not await doctor.start_again(tx, enrollment.id)
        assert not await doctor.end_again(tx, (await _live(store, db)))


async def _live(store: StoreCalls, db: Database) -> doctor.Live:
    other = await store.live(TRIAL, "bob")
    async with db.transaction() as tx:
        found = await doctor.find(tx, other.id)
    assert found is not None
    await store.close(other.id)
    return found


async def test_a_goal_is_told_again_as_a_goal_and_an_exit_as_an_end(store: StoreCalls, db: Database) -> None:
    enrollment = await store.live(TRIAL)
    await store.happen("subscription.started", amount=3)
    async with db.transaction() as tx:
        rows = rows_of(await outbox.pending(tx, now=NOW))
        await outbox.delivered(tx, [row.id for row in rows], now=NOW)
        found = await doctor.find(tx, enrollment.id)
        assert found is not None and found.told and found.ending_since == NOW
        assert await doctor.end_again(tx, found, now=NOW)
        again = await doctor.find(tx, enrollment.id)
        assert again is not None and not again.told
    ((kind, payload),) = await store.waiting()
    assert (kind, EventSignal(**payload).matches) == ("event", ("goal",))


async def test_a_delivery_says_why_it_waits_and_can_be_hurried(store: StoreCalls, db: Database) -> None:
    await store.live()
    later = datetime.now(UTC) + outbox.LONGEST_REST / 2
    async with db.transaction() as tx:
        (row,) = rows_of(await outbox.pending(tx))
        await outbox.failed(tx, row.id, later, "UNAVAILABLE")
        count, (waiting,) = await doctor.undelivered(tx, datetime.now(UTC), 10)
        assert (count, waiting.attempts, waiting.reason) == (1, 1, "UNAVAILABLE")
        assert rows_of(await outbox.pending(tx)) == []
        assert await doctor.hurry(tx, [row.id]) == 1
        assert len(rows_of(await outbox.pending(tx))) == 1


async def test_a_leader_is_seen(db: Database) -> None:
    async with db.listener() as relay:
        assert isinstance(relay, Listener)
        async with db.transaction() as tx:
            assert not await doctor.led(tx)
        assert await relay.lead()
        async with db.transaction() as tx:
            assert await doctor.led(tx)
