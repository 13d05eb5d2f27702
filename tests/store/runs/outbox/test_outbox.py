from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people import contacts
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.enrollments import enrollments
from store.runs.enrollments.enrolling import Enrol, enroll_many
from store.runs.outbox import outbox
from store.runs.outbox.outbox import KEPT_FOR_STARTS, Delivery
from tests.store.store_calls import NOW, TRIAL, StoreCalls, rows_of


async def pending(store: StoreCalls, seconds: float = 0, busy: Iterable[str] = (), limit: int = 100) -> list[Delivery]:
    async with store.db.transaction() as tx:
        found = await outbox.pending(tx, limit, busy=list(busy), now=NOW + timedelta(seconds=seconds))
    return rows_of(found)


async def test_delivery_carries_all_that_a_start_needs(store: StoreCalls) -> None:
    run = await store.live(TRIAL, pace=60.0)
    [row] = await pending(store)
    assert (row.kind, row.enrollment_id, row.workflow_id) == ("start", run.id, "nurture/trial/ann")
    assert (row.track, row.version, row.contact_id, row.clock, row.ended) == ("trial", 1, "ann", run.clock, False)


async def test_delivered_start_marks_the_enrollment_started(store: StoreCalls) -> None:
    run = await store.live()
    [row] = await pending(store)
    async with store.db.transaction() as tx:
        await outbox.delivered(tx, [row.id], now=NOW + timedelta(seconds=3))
        started = await enrollments.get(tx, run.id)
    assert started is not None
    assert started.started_at == NOW + timedelta(seconds=3)
    assert await pending(store) == []


async def test_row_that_failed_holds_back_later_rows_of_its_run_only(store: StoreCalls) -> None:
    first = await store.live(TRIAL)
    other = await store.live(TRIAL, "bob")
    await store.happen("account.closed")
    start = (await pending(store))[0]
    async with store.db.transaction() as tx:
        await outbox.failed(tx, start.id, NOW + timedelta(seconds=10))
    assert {row.enrollment_id for row in await pending(store, 9)} == {other.id}
    later = [row for row in await pending(store, 10) if row.enrollment_id == first.id]
    assert [(row.kind, row.attempts) for row in later] == [("start", 1), ("event", 0)]


async def test_no_row_waits_for_a_clock_that_went_back(store: StoreCalls) -> None:
    """The API's clock, or the relay's, was two hours ahead when it wrote these times."""
    await store.live(TRIAL)
    await store.live(TRIAL, "bob")
    assert len(await pending(store, -7200)) == 2
    first, second = await pending(store)
    async with store.db.transaction() as tx:
        await outbox.failed(tx, first.id, NOW + timedelta(seconds=30))
    assert [row.id for row in await pending(store)] == [second.id]
    assert [row.id for row in await pending(store, -7200)] == [first.id, second.id]
    await store.happen("account.closed")
    assert [row.kind for row in await pending(store, -7200) if row.contact_id == "ann"] == ["start", "event"]


async def test_delivered_payload_is_kept_no_longer(store: StoreCalls) -> None:
    """An event's properties stay only in the event, where erasing finds them."""
    await store.live(TRIAL)
    await store.happen("email.clicked", step="hello", link="pricing")
    async with store.db.transaction() as tx:
        await outbox.delivered(tx, [row.id for row in rows_of(await outbox.pending(tx, now=NOW))])
    assert {str(row.payload) for row in await store.rows("SELECT payload FROM outbox")} == {"{}"}


async def test_busy_runs_are_left_out(store: StoreCalls) -> None:
    first = await store.live(TRIAL)
    other = await store.live(TRIAL, "bob")
    assert [row.enrollment_id for row in await pending(store, busy=[first.id])] == [other.id]


async def test_rows_of_an_ended_run_say_so_and_what_is_dropped_is_counted(store: StoreCalls) -> None:
    run = await store.live(TRIAL)
    await store.happen("account.closed")
    await store.close(run.id)
    rows = await pending(store)
    assert all(row.ended for row in rows)
    async with store.db.transaction() as tx:
        assert await outbox.drop(tx, [row.id for row in rows], "late") == 2
        assert await outbox.drop(tx, [row.id for row in rows], "late") == 0
        assert await drop_counts.totals(tx) == [Drop("late", "event", "trial"), Drop("late", "start", "trial")]
        assert await outbox.backlog(tx) == outbox.Backlog(0, None)
        assert await outbox.prune(tx, NOW + timedelta(days=1)) == 0
    async with store.db.transaction() as tx:
        await outbox.prune(tx, rows[0].created_at + timedelta(days=36500))
    assert await store.rows("SELECT 1 FROM outbox") == []


async def test_backlog_tells_how_much_waits_and_since_when(store: StoreCalls) -> None:
    await store.live(TRIAL)
    await store.happen("account.closed")
    async with store.db.transaction() as tx:
        assert await outbox.backlog(tx) == outbox.Backlog(2, NOW)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    fates=st.lists(st.sampled_from(["ok", "ok", "fail", "crash"]), max_size=30),
    limit=st.integers(1, 4),
    together=st.booleans(),
)
async def test_each_run_hears_everything_in_order_whatever_fails(
    store: StoreCalls, fates: list[str], limit: int, together: bool
) -> None:
    """A relay that crashes after a delivery repeats it, and never skips or reorders rows."""
    people = [new_id() for _ in range(3)]
    for who in people:
        await store.live(TRIAL, who)
    for number in range(4):
        for who in people:
            await store.happen("email.clicked", who, event_id=f"{who}{number}", step="hello")
    heard: dict[str, list[int]] = {}
    script = iter(fates)
    seconds = 0
    while await store.rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL LIMIT 1"):
        seconds += 1
        stopped: set[str] = set()
        for row in await pending(store, seconds, limit=limit):
            if row.enrollment_id in stopped:
                continue
            fate = next(script, "ok")
            if fate != "fail":
                heard.setdefault(row.contact_id, []).append(row.id)
            async with store.db.transaction() as tx:
                if fate == "ok" and together:
                    await outbox.pending(tx, delivered=[row.id])
                elif fate == "ok":
                    await outbox.delivered(tx, [row.id])
                elif fate == "fail":
                    await outbox.failed(tx, row.id, NOW + timedelta(seconds=seconds + 2))
            if fate != "ok":
                stopped.add(row.enrollment_id)
    for who in people:
        assert heard[who] == sorted(heard[who])
        assert len(set(heard[who])) == 5


async def test_what_is_delivered_is_written_down_by_the_look_that_reads_what_is_next(store: StoreCalls) -> None:
    await store.live(TRIAL)
    await store.happen("email.clicked", event_id="e-1", step="hello")
    start, event = await pending(store)
    later = NOW + timedelta(seconds=3)
    async with store.db.statement() as connection:
        assert rows_of(await outbox.pending(connection, delivered=[start.id], now=later)) == [event]
    assert await pending(store) == [event]
    [enrollment] = await store.rows("SELECT started_at FROM enrollment")
    [row] = await store.rows("SELECT delivered_at, attempts, payload FROM outbox WHERE id = :id", id=start.id)
    assert (enrollment.started_at, row.delivered_at, row.attempts, row.payload) == (later, later, 1, {})


async def imported(store: StoreCalls, *contact_ids: str) -> list[str]:
    """Enrol contacts as an import does. Returns their enrollments."""
    for contact_id in contact_ids:
        await store.contact(contact_id)
    async with store.db.transaction() as tx:
        found = await enroll_many(tx, [Enrol("trial", contact_id) for contact_id in contact_ids], bulk=True, now=NOW)
    return sorted(it.enrollment.id for it in found if it.enrollment)


async def test_live_rows_go_before_what_an_import_caused_earlier(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    slow = await imported(store, "bob", "cid", "dan")
    live = await store.live(TRIAL)
    assert [row.enrollment_id for row in await pending(store)] == [live.id, *slow]
    assert [row.enrollment_id for row in await pending(store, limit=2)] == [live.id, slow[0]]
    async with store.db.transaction() as tx:
        assert not (await outbox.pending(tx, 2, now=NOW)).crowded
        some = rows_of(await outbox.pending(tx, bulk=1, now=NOW))
        assert [(row.enrollment_id, row.bulk) for row in some] == [(live.id, False), (slow[0], True)]
        assert await outbox.bulk_waiting(tx, 100) == 3
        assert await outbox.bulk_waiting(tx, 2) == 2


async def test_what_live_runs_are_told_goes_before_starts_that_waited_longer(store: StoreCalls) -> None:
    """Many enrolments must not delay the event of another contact."""
    told = await store.live(TRIAL)
    async with store.db.transaction() as tx:
        await outbox.delivered(tx, [row.id for row in rows_of(await outbox.pending(tx, now=NOW))])
    flood = [(await store.live(TRIAL, f"c-{number}")).id for number in range(5)]
    await store.happen("account.closed")
    assert [row.enrollment_id for row in await pending(store)] == [told.id, *flood]
    assert [row.enrollment_id for row in await pending(store, limit=1)] == [told.id, *flood[:KEPT_FOR_STARTS]]
    async with store.db.transaction() as tx:
        for starts, chosen in ((0, [told.id]), (2, [told.id, *flood[:2]])):
            found = await outbox.pending(tx, starts=starts, now=NOW)
            assert [row.enrollment_id for row in rows_of(found)] == chosen
            assert found.more
        assert not (await outbox.pending(tx, starts=5, now=NOW)).more
        assert (await outbox.pending(tx, 6, starts=6, now=NOW)).more


async def test_a_flood_of_news_lets_a_few_begin(store: StoreCalls) -> None:
    told = [(await store.live(TRIAL, f"c-{number}")).id for number in range(8)]
    async with store.db.transaction() as tx:
        await outbox.delivered(tx, [row.id for row in rows_of(await outbox.pending(tx, now=NOW))])
    for number in range(8):
        await store.happen("account.closed", f"c-{number}", f"e-{number}")
    new = [(await store.live(TRIAL, f"new-{number}")).id for number in range(6)]
    async with store.db.transaction() as tx:
        for limit in (6, 100):  # also where more waits than is read at once
            found = await outbox.pending(tx, limit, room=6, starts=6, now=NOW)
            assert [run[0].enrollment_id for run in found.runs] == [*told[:2], *new[:KEPT_FOR_STARTS]]
            assert found.more
            assert found.crowded == (limit == 6)
        found = await outbox.pending(tx, 100, room=10, starts=1, now=NOW)
        assert [run[0].enrollment_id for run in found.runs] == [*told, new[0]]


async def test_a_changed_attribute_in_the_slow_lane_waits_for_its_runs_start(store: StoreCalls) -> None:
    await store.live(TRIAL)
    async with store.db.transaction() as tx:
        await contacts.upsert_many(tx, [("ann", {"attributes": {"renewal_date": "2026-05-01"}})], bulk=True, now=NOW)
        assert rows_of(await outbox.pending(tx, starts=0, now=NOW)) == []
        both = rows_of(await outbox.pending(tx, starts=1, now=NOW))
    assert [(row.kind, row.bulk) for row in both] == [("start", False), ("attributes", True)]


async def test_a_live_event_takes_its_runs_waiting_start_along(store: StoreCalls) -> None:
    """Otherwise it would be sent to a run that does not exist yet, and be lost."""
    await store.publish(TRIAL)
    await imported(store, "bob")
    [cid] = await imported(store, "cid")
    await store.happen("account.closed", "cid")
    async with store.db.transaction() as tx:
        for limit in (1, 100):  # also where more waits than is read at once
            rows = rows_of(await outbox.pending(tx, limit, starts=0, bulk=0, now=NOW))
            assert [(row.kind, row.enrollment_id) for row in rows] == [("start", cid), ("event", cid)]
        await outbox.failed(tx, rows[0].id, NOW + timedelta(seconds=9))
        assert rows_of(await outbox.pending(tx, bulk=0, now=NOW)) == []
