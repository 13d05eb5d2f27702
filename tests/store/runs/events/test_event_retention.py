"""Events are deleted when the policy no longer keeps them, and whatever still needs them keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from store.published import policies
from store.runs import drop_counts
from store.runs.events import event_retention
from store.runs.events.event_retention import MARGIN, Position
from store.runs.events.events import Accepted, Event
from tests.store.store_calls import NOW, TRIAL, StoreCalls
from tracks.policy.workspace_policy import parse_policy

DAY = timedelta(days=1)
_WAIT = "steps:\n  - id: clicked\n    wait_for: {event: email.clicked, within: 3d, then: [], else: []}\n"
KEEP = "retention: {events: {default: 400d, names: {page.viewed: 90d, order.paid: forever}}}"


async def policy(store: StoreCalls, source: str = KEEP) -> None:
    async with store.db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)


async def delete(store: StoreCalls, now: datetime, *, limit: int = 2) -> int:
    """A whole pass, in steps of two events."""
    position: Position | None = Position()
    deleted = 0
    while position is not None:
        async with store.db.transaction() as tx:
            step = await event_retention.delete_step(tx, position, now, limit=limit)
        position, deleted = step.position, deleted + step.deleted
    return deleted


async def left(store: StoreCalls) -> Sequence[str]:
    return [row.event_id for row in await store.rows("SELECT event_id FROM event ORDER BY event_id")]


async def test_each_name_is_deleted_after_its_own_time_and_a_margin_for_clocks_that_differ(store: StoreCalls) -> None:
    await policy(store)
    await store.accept(*(Event(f"v{n}", "ann", "page.viewed") for n in range(5)))
    await store.accept(Event("o", "ann", "order.paid"), Event("u", "ann", "app.used"))
    assert await delete(store, NOW + 90 * DAY + MARGIN) == 0
    assert await delete(store, NOW + 90 * DAY + MARGIN + timedelta(seconds=1)) == 5
    assert await left(store) == ["o", "u"]
    assert await delete(store, NOW + 4000 * DAY) == 1
    assert await left(store) == ["o"]
    async with store.db.transaction() as tx:
        assert await event_retention.deleted_counts(tx) == {"app.used": 1, "page.viewed": 5}


async def test_without_retention_nothing_is_deleted(store: StoreCalls) -> None:
    await policy(store, "topics: {}")
    await store.happen("page.viewed")
    assert await delete(store, NOW + 4000 * DAY) == 0


async def test_a_late_event_is_kept_as_long_as_one_that_was_told_at_once(store: StoreCalls) -> None:
    await policy(store)
    await store.accept(Event("late", "ann", "page.viewed", occurred_at=NOW - 80 * DAY))
    assert await delete(store, NOW + 89 * DAY) == 0
    assert await delete(store, NOW + 91 * DAY) == 1


async def test_an_id_that_comes_again_after_its_event_was_deleted_has_no_second_effect(store: StoreCalls) -> None:
    await policy(store)
    await store.publish("track: seen\nentry: {event: page.viewed, max_age: 400d}\nreentry: always\n" + _WAIT)
    event = Event("v", "ann", "page.viewed", occurred_at=NOW)
    assert (await store.accept(event))[0].enrolled == 1
    await store.rows("UPDATE enrollment SET ended_at = now(), status = 'completed' RETURNING id")
    later = NOW + 91 * DAY
    assert await delete(store, later) == 1
    assert await store.accept(event, now=later) == [Accepted(expired=True)]
    assert (await store.accept(event, now=later))[0].dropped == "expired"
    assert await left(store) == []
    async with store.db.transaction() as tx:
        assert drop_counts.Drop("expired", "event", count=2) in await drop_counts.totals(tx)


async def test_nor_if_the_events_are_kept_longer_by_then(store: StoreCalls) -> None:
    await policy(store)
    event = Event("v", "ann", "page.viewed", occurred_at=NOW)
    await store.accept(event)
    assert await delete(store, NOW + 91 * DAY) == 1
    await policy(store, "topics: {}")
    assert await store.accept(event, now=NOW + 91 * DAY) == [Accepted(expired=True)]


async def test_an_old_event_that_is_kept_is_taken_into_its_window(store: StoreCalls) -> None:
    await policy(store)
    old = [
        Event("v", "ann", "page.viewed", occurred_at=NOW - 89 * DAY),
        Event("o", "ann", "order.paid", {}, NOW - 9000 * DAY),
    ]
    assert await store.accept(*old) == [Accepted(), Accepted()]
    assert await left(store) == ["o", "v"]


async def test_what_a_live_run_may_have_matched_stays_until_the_run_ends(store: StoreCalls) -> None:
    await policy(store, "retention: {events: {default: 30d}}")
    await store.accept(Event("before", "ann", "email.clicked"), now=NOW - DAY)
    run = await store.live(TRIAL)
    await store.accept(
        Event("matched", "ann", "email.clicked", {"step": "hello"}),
        Event("other", "ann", "page.viewed"),
        Event("other contact", "bob", "email.clicked"),
    )
    later = NOW + 100 * DAY
    assert await delete(store, later) == 3
    assert await left(store) == ["matched"]
    await store.close(run.id)
    assert await delete(store, later) == 1


async def test_a_row_that_somebody_else_holds_is_left_and_waits_for_nobody(store: StoreCalls) -> None:
    await policy(store)
    await store.accept(Event("held", "ann", "page.viewed"), Event("free", "bob", "page.viewed"))
    async with store.db.transaction() as tx:
        await tx.execute(text("SELECT FROM event WHERE event_id = 'held' FOR UPDATE"))
        assert await delete(store, NOW + 100 * DAY) == 1
    assert await left(store) == ["held"]
    assert await delete(store, NOW + 100 * DAY) == 1
