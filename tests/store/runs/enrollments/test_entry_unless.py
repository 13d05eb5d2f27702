"""An entry rule's `unless`: what happened before, or a condition, keeps people out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.events.events import Event
from tests.store.runs.enrollments.cart_events import LEFT, entered, track
from tests.store.store_calls import NOW, StoreCalls

UNLESS = track(unless="{event: order.paid, within: 30d}")


async def test_what_happened_before_keeps_people_out(store: StoreCalls) -> None:
    await store.publish(UNLESS)
    paid = Event("p1", "ann", "order.paid", {"total": 50}, occurred_at=NOW - timedelta(days=29))
    assert await entered(store, replace(LEFT, contact_id="bob")) == ["enrolled"]
    await store.accept(paid)
    assert await entered(store, replace(LEFT, event_id="e2")) == ["unless"]
    assert await entered(store, replace(LEFT, event_id="e3", contact_id="carol")) == ["enrolled"]
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [Drop("unless", "entry", "cart")]


@pytest.mark.parametrize(("days", "outcome"), [(29.9, "unless"), (30.1, "enrolled"), (-0.5, "unless")])
async def test_within_counts_from_the_event_that_would_enrol(store: StoreCalls, days: float, outcome: str) -> None:
    """The event is one day late: a purchase since then counts like an earlier one."""
    await store.publish(UNLESS)
    left = NOW - timedelta(days=1)
    await store.accept(Event("p1", "ann", "order.paid", occurred_at=left - timedelta(days=days)))
    assert await entered(store, replace(LEFT, occurred_at=left)) == [outcome]


async def test_what_is_told_in_the_same_batch_counts_in_whatever_order(store: StoreCalls) -> None:
    await store.publish(UNLESS)
    before, after = (Event(f"p{n}", who, "order.paid") for n, who in enumerate(("ann", "bob")))
    answers = await store.accept(before, LEFT, replace(LEFT, event_id="e2", contact_id="bob"), after)
    assert [one.dropped for one in answers] == [None, "unless", "unless", None]


async def test_an_event_never_keeps_itself_out(store: StoreCalls) -> None:
    """'The first time in a month': only another event with the track's event name counts."""
    await store.publish(track(unless="{event: cart.left, within: 30d}"))
    assert await entered(store, LEFT) == ["enrolled"]
    [run] = await store.rows("SELECT id::text AS id FROM enrollment")
    await store.close(run.id)
    assert await entered(store, replace(LEFT, event_id="e2")) == ["unless"]


@pytest.mark.parametrize(("total", "outcome"), [(50, "enrolled"), (150, "unless"), ("150", "enrolled")])
async def test_the_earlier_event_may_have_a_condition(store: StoreCalls, total: object, outcome: str) -> None:
    where = "event.properties.total > 100"
    await store.publish(track(unless=f"{{event: order.paid, within: 30d, where: {where}}}"))
    await store.accept(Event("p1", "ann", "order.paid", {"total": total}))
    assert await entered(store, LEFT) == [outcome]
    async with store.db.transaction() as tx:
        counted = {drop.reason for drop in await drop_counts.totals(tx)}
    assert counted == {"enrolled": set(), "unless": {"unless"}}[outcome] | (
        {"condition: type"} if total == "150" else set()
    )


@pytest.mark.parametrize(("plan", "outcome"), [("free", "enrolled"), ("team", "unless")])
async def test_unless_may_be_a_condition(store: StoreCalls, plan: str, outcome: str) -> None:
    await store.publish(track(unless='contact.attributes.plan == "team"'))
    await store.contact(attributes={"plan": plan})
    assert await entered(store, LEFT) == [outcome]
