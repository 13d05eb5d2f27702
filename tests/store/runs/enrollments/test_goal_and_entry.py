"""An event that is both the goal and the entry of a track: it ends one run by its goal, and begins the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.runs.events.events import Event
from tests.store.store_calls import NOW, StoreCalls

REPLENISH = """
track: replenish
entry: {event: order.paid}
reentry: {per: sku, restart: true}
goal: {event: order.paid, where: 'event.properties.sku == enrollment.properties.sku'}
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: month, wait: 30d}
  - {id: reminder, email: {template: reminder}}
"""
FOR_ALL = REPLENISH.replace("{per: sku, restart: true}", "always").replace(
    ", where: 'event.properties.sku == enrollment.properties.sku'", ""
)


def order(number: int, sku: str = "beans", who: str = "ann") -> Event:
    return Event(f"o{number}", who, "order.paid", {"sku": sku, "n": number})


async def runs(store: StoreCalls) -> list[tuple[str, str | None, str, int]]:
    rows = await store.rows("SELECT status, end_reason, key, properties FROM enrollment ORDER BY id")
    return [(row.status, row.end_reason, row.key, row.properties["n"]) for row in rows]


@pytest.mark.parametrize("document", [REPLENISH, FOR_ALL])
async def test_each_order_ends_the_run_of_the_one_before_as_converted_and_begins_its_own(
    store: StoreCalls, document: str
) -> None:
    await store.publish(document)
    for number in range(3):
        [answer] = await store.accept(order(number), now=NOW + timedelta(days=number))
        assert (answer.enrolled, answer.matched) == (1, min(number, 1))
    found = await runs(store)
    assert [one[:2] for one in found] == [("converted", "goal"), ("converted", "goal"), ("active", None)]
    assert [one[3] for one in found] == [0, 1, 2]
    rows = await store.rows("SELECT slot = '' AS here, ended_at, goal_reached_at FROM enrollment ORDER BY id")
    assert [row.here for row in rows] == [False, False, True]
    assert [row.ended_at == row.goal_reached_at for row in rows[:2]] == [True, True]
    assert [kind for kind, _ in await store.waiting()] == ["start"], "the runs before are told nothing more"


async def test_objects_do_not_touch_each_other(store: StoreCalls) -> None:
    await store.publish(REPLENISH)
    await store.accept(order(1, "beans"), order(2, "milk"), order(3, "beans"))
    assert [one[:3] for one in await runs(store)] == [
        ("converted", "goal", "beans"),
        ("active", None, "milk"),
        ("active", None, "beans"),
    ]


@pytest.mark.parametrize("document", [REPLENISH, FOR_ALL])
async def test_orders_at_the_same_moment_leave_one_run_and_lose_none(store: StoreCalls, document: str) -> None:
    await store.publish(document)
    await store.contact()
    answers = await asyncio.gather(*(store.accept(order(number)) for number in range(6)))
    assert [one.enrolled for (one,) in answers] == [1] * 6
    found = await runs(store)
    assert sorted(one[0] for one in found) == ["active"] + ["converted"] * 5


async def test_messages_that_waited_go_with_the_run_that_the_order_ended(store: StoreCalls) -> None:
    await store.publish(REPLENISH)
    await store.contact()
    await store.accept(order(1))
    [row] = await store.rows("SELECT id::text AS id FROM enrollment")
    held = await store.hold_back(row.id, step="reminder")
    await store.accept(order(2))
    message = await store.message(held)
    assert (message.status, message.reason) == ("skipped", "goal")


async def test_after_the_goal_an_entry_event_begins_the_next_run_before_temporal_has_ended_the_last(
    store: StoreCalls,
) -> None:
    """Between the goal and the end of the run in Temporal an event was refused as `live`, and was lost."""
    await store.publish(FOR_ALL.replace("goal: {event: order.paid}", "goal: {event: refunded}"))
    await store.accept(order(1), Event("r1", "ann", "refunded"), order(2))
    assert [one[:2] for one in await runs(store)] == [("converted", "goal"), ("active", None)]


@pytest.mark.parametrize("rule", ["never", "{after: 30d}", "{per: sku}"])
async def test_where_nobody_enters_again_at_once_the_order_only_ends_the_run(store: StoreCalls, rule: str) -> None:
    await store.publish(REPLENISH.replace("{per: sku, restart: true}", rule))
    answers = await store.accept(order(1), order(2))
    assert [(one.enrolled, one.matched) for one in answers] == [(1, 0), (0, 1)]
    [row] = await store.rows("SELECT goal_reached_at IS NOT NULL AS reached FROM enrollment")
    assert row.reached
