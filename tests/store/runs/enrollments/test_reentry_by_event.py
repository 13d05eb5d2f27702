"""An event that begins a track anew: one run is left, and it is the last one."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.runs.events.events import Event
from tests.store.runs.enrollments.cart_events import CART
from tests.store.store_calls import NOW, StoreCalls

RESTART = """
track: cart
entry: {event: cart.changed}
reentry: {restart: true}
exits: [{event: cart.changed, reason: changed}]
steps:
  - {id: hour, wait: 1h}
"""


async def test_an_event_that_leaves_and_enters_always_begins_anew(store: StoreCalls) -> None:
    """Without `restart` every second event would only end the run."""
    await store.publish(RESTART)
    for number in range(4):
        [answer] = await store.accept(Event(f"e{number}", "ann", "cart.changed", {"n": number}))
        assert answer.enrolled == 1
    rows = await store.rows("SELECT status, end_reason, slot = '' AS here, properties FROM enrollment ORDER BY id")
    assert [tuple(row)[:3] for row in rows] == [("exited", "restarted", False)] * 3 + [("active", None, True)]
    assert rows[-1].properties == {"n": 3}
    assert [kind for kind, _ in await store.waiting()] == ["start"], "nothing is left to be told to those before"


async def test_several_in_one_batch_leave_the_last_one_running(store: StoreCalls) -> None:
    await store.publish(RESTART)
    answers = await store.accept(*(Event(f"e{n}", "ann", "cart.changed", {"n": n}) for n in range(3)))
    assert [one.enrolled for one in answers] == [1, 1, 1]
    [row] = await store.rows("SELECT properties FROM enrollment WHERE ended_at IS NULL")
    assert row.properties == {"n": 2}


async def test_racing_events_leave_one_run(store: StoreCalls) -> None:
    await store.publish(RESTART)
    await store.contact()
    answers = await asyncio.gather(*(store.happen("cart.changed", event_id=f"e{n}") for n in range(8)))
    assert [one.enrolled for one in answers] == [1] * 8
    [row] = await store.rows("SELECT count(*) AS all, count(*) FILTER (WHERE ended_at IS NULL) AS live FROM enrollment")
    assert tuple(row) == (8, 1)


async def test_the_api_finds_the_live_run_whose_track_restarts(store: StoreCalls) -> None:
    """A repeated enrolment call is a duplicate; only a new event restarts the run."""
    await store.publish(RESTART)
    await store.contact()
    run = await store.enrolled("cart")
    again = await store.enroll("cart")
    assert (again.outcome, again.enrollment and again.enrollment.id) == ("existing", run.id)


async def test_a_restart_takes_waiting_messages_along_and_keeps_a_goal(store: StoreCalls) -> None:
    document = RESTART.replace("exits:", "goal: {event: paid}\nexits:")
    run = await store.live(document)
    held = await store.hold_back(run.id, step="hour")
    await store.happen("paid", event_id="p1")
    await store.happen("cart.changed", event_id="e9")
    first, second = await store.rows("SELECT status, end_reason FROM enrollment ORDER BY id")
    assert (tuple(first), tuple(second)) == (("converted", "goal"), ("active", None))
    message = await store.message(held)
    assert (message.status, message.reason) == ("skipped", "goal")


@pytest.mark.parametrize(
    ("rule", "outcomes"),
    [
        ("{per: cart_id}", ["created", "refused", "refused"]),
        ("{per: cart_id, after: 90d}", ["created", "refused", "created"]),
        ("{after: 90d}", ["created", "refused", "created"]),
    ],
)
async def test_a_cycle_may_come_again_for_the_same_object(store: StoreCalls, rule: str, outcomes: list[str]) -> None:
    """Reminders to buy an article again: `per` alone would enrol only at the first purchase."""
    await store.publish(CART.replace("{per: cart_id}", rule))
    await store.contact()
    found = []
    for now in (NOW, NOW + timedelta(days=80), NOW + timedelta(days=95)):
        result = await store.enroll("cart", properties={"cart_id": "sku-1"}, now=now)
        found.append(result.outcome)
        if result.outcome == "created" and result.enrollment:
            await store.close(result.enrollment.id, now=now)
    assert found == outcomes
