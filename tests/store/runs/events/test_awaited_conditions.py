"""A run that waits for a condition is woken by whatever makes it hold, once, and by nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.people import contacts, erasure
from store.runs.enrollments import enrollments
from store.runs.events import awaited_conditions, events
from store.runs.events.awaited_conditions import Seen
from store.runs.events.events import Event
from store.schema.rows import Enrollment
from tests.store.audience.scores import score_calls as scores
from tests.store.audience.segment_calls import live
from tests.store.people.merging.merge_calls import merged
from tests.store.store_calls import NOW, StoreCalls

WAITS = """
track: on-team
reentry: {per: object}
steps:
  - id: team
    wait_for: {condition: 'contact.attributes.plan == "team" && contact.has_email', within: 14d}
  - id: vip
    wait_for: {condition: '"vip" in contact.segments', within: 14d}
  - id: count
    wait_for: {condition: 'contact.attributes.seats > 3', within: 14d}
  - id: warm
    wait_for: {condition: 'contact.scores.lead.grade == "warm"', within: 14d}
"""
VIP = {"any": [{"did": "order.paid"}, 'contact.attributes.plan == "gold"']}
ONE = {"object": "1"}


async def waiting_run(store: StoreCalls) -> Enrollment:
    return await store.live(WAITS, properties=ONE)


async def look(
    store: StoreCalls, run: Enrollment, step: str = "team", *, occurrence: int = 1, last: bool = False
) -> Seen:
    async with store.db.transaction() as tx:
        return await awaited_conditions.look(tx, run.id, step, occurrence, last=last, now=NOW)


async def woken(store: StoreCalls) -> list[str]:
    """What the runs were told, in order."""
    return [payload["met"] for _, payload in await store.waiting("attributes")]


async def awaited(store: StoreCalls) -> list[tuple[str, bool]]:
    found = await store.rows("SELECT step, met_at IS NOT NULL AS met FROM awaited_condition ORDER BY enrollment_id")
    return [(row.step, row.met) for row in found]


async def until_blocked(store: StoreCalls) -> None:
    """Return when a transaction waits for another one's lock."""
    waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not await store.rows(waits):
        await asyncio.sleep(0.01)


async def test_a_condition_that_holds_already_is_met_at_once(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await store.contact(attributes={"plan": "team"})
    assert await look(store, run) == "met"
    assert await awaited(store) == []


async def test_the_change_that_makes_it_hold_wakes_the_run_once_and_tells_nothing_else(store: StoreCalls) -> None:
    run = await waiting_run(store)
    assert await look(store, run) == "waiting"
    await store.contact(attributes={"plan": "solo", "seats": 9})
    assert await woken(store) == []
    await store.contact(attributes={"plan": "team"})
    await store.contact(attributes={"seats": 10})
    ((kind, payload),) = await store.waiting("attributes")
    assert (kind, set(payload), payload["met"], payload["names"]) == (
        "attributes", {"change_id", "names", "met"}, "team/1", []
    )  # fmt: skip
    assert await look(store, run, last=True) == "met"
    assert await awaited(store) == []


async def test_what_held_for_a_moment_only_has_held(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    await store.contact(attributes={"plan": "team"})
    await store.contact(attributes={"plan": "solo"})
    assert await look(store, run, last=True) == "met"


async def test_any_field_that_conditions_read_wakes(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await store.contact(email=None, attributes={"plan": "team"})
    await look(store, run)
    await store.contact(timezone="Europe/Berlin", email=None)
    assert await woken(store) == []
    await store.contact(email="ann@acme.test")
    assert await woken(store) == ["team/1"]


@pytest.mark.parametrize("cause", ["event", "attribute"])
async def test_a_segment_that_the_contact_enters_wakes(store: StoreCalls, cause: str) -> None:
    await live(store, "vip", VIP)
    run = await waiting_run(store)
    await look(store, run, "vip")
    if cause == "event":
        await store.happen("order.paid")
    else:
        await store.contact(attributes={"plan": "gold"})
    assert await woken(store) == ["vip/1"]


async def test_a_grade_that_the_contact_reaches_wakes(store: StoreCalls) -> None:
    await scores.live(store, scores.written("lead", scores.VIEWED))
    run = await waiting_run(store)
    assert await look(store, run, "warm") == "waiting"
    await store.happen("page.viewed")
    assert await woken(store) == []
    await store.happen("page.viewed", event_id="e2")
    assert await woken(store) == ["warm/1"]


async def test_what_a_merge_brings_wakes(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    await store.contact("bob", attributes={"plan": "team"})
    await merged(store)
    assert await woken(store) == ["team/1"]
    assert await look(store, run, last=True) == "met"


async def test_a_run_that_a_merge_moves_is_woken_by_what_the_survivor_has(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    await store.contact("bob", attributes={"plan": "team"})
    await merged(store, "bob", "ann")
    assert await woken(store) == ["team/1"]


async def test_a_look_that_waits_for_a_change_sees_the_segments_after_it(store: StoreCalls) -> None:
    await live(store, "vip", VIP)
    run = await waiting_run(store)
    async with store.db.transaction() as tx:
        await events.accept(tx, Event("e1", "ann", "order.paid"), now=NOW)
        looking = asyncio.create_task(look(store, run, "vip"))
        await until_blocked(store)
    assert await looking == "met"


async def test_a_condition_that_cannot_be_computed_does_not_hold_and_is_counted(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await store.contact(attributes={"seats": "many"})
    assert await look(store, run, "count") == "waiting"
    found = await store.rows("SELECT reason, kind, track FROM dropped")
    assert [tuple(row) for row in found] == [("condition: type", "event", "on-team")]


async def test_only_the_runs_of_this_contact_that_wait_are_woken(store: StoreCalls) -> None:
    waits = await waiting_run(store)
    busy = await store.enrolled("on-team", properties={"object": "2"})
    await store.contact("bob")
    other = await store.enrolled("on-team", "bob", properties=ONE)
    await look(store, waits)
    await look(store, other)
    await look(store, busy)
    await look(store, busy, last=True)
    await store.contact(attributes={"plan": "team"})
    found = await store.rows("SELECT enrollment_id FROM outbox WHERE kind = 'attributes'")
    assert [str(row.enrollment_id) for row in found] == [waits.id]


async def test_a_later_wait_knows_nothing_of_the_one_before(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    await store.contact(attributes={"plan": "team"})
    await store.contact(attributes={"plan": "solo"})
    assert await look(store, run, occurrence=2) == "waiting"
    assert await awaited(store) == [("team", False)]


async def test_an_ended_run_waits_for_nothing(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    async with store.db.transaction() as tx:
        await enrollments.close(tx, run.id, "completed", "done", now=NOW)
    assert await awaited(store) == []
    await store.contact(attributes={"plan": "team"})
    assert await woken(store) == []
    assert await look(store, run) == "ended"


async def test_the_run_of_an_erased_contact_is_not_woken_by_who_comes_after_them(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann")
    assert await look(store, run) == "ended"
    await store.contact(attributes={"plan": "team"})
    assert await woken(store) == []
    assert await look(store, run) == "waiting"  # its end is on its way


async def test_a_batch_wakes_in_the_slow_lane(store: StoreCalls) -> None:
    run = await waiting_run(store)
    await look(store, run)
    async with store.db.transaction() as tx:
        await contacts.upsert_many(tx, [("ann", {"attributes": {"plan": "team"}})], bulk=True, now=NOW)
    assert [row.bulk for row in await store.rows("SELECT bulk FROM outbox WHERE kind = 'attributes'")] == [True]


async def test_a_change_beside_the_look_is_never_lost(store: StoreCalls) -> None:
    await store.publish(WAITS)
    people = [f"p-{number}" for number in range(24)]
    for person in people:
        await store.contact(person)
    runs = [await store.enrolled("on-team", person, properties=ONE) for person in people]
    seen, _ = await asyncio.gather(
        asyncio.gather(*(look(store, run) for run in runs)),
        asyncio.gather(*(store.contact(person, attributes={"plan": "team"}) for person in people)),
    )
    told = {
        str(row.enrollment_id) for row in await store.rows("SELECT enrollment_id FROM outbox WHERE kind = 'attributes'")
    }
    assert {run.id for run, found in zip(runs, seen, strict=True) if found == "waiting"} == told


CHANGES = st.lists(st.sampled_from(["team", "solo", "none", "look"]), min_size=1, max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=CHANGES)
async def test_a_run_is_woken_exactly_if_the_condition_held_at_any_moment_of_its_wait(
    store: StoreCalls, changes: list[str]
) -> None:
    await store.publish(WAITS)
    who = f"p-{len(await store.rows('SELECT id FROM contact'))}"
    await store.contact(who)
    run = await store.enrolled("on-team", who, properties=ONE)
    assert await look(store, run) == "waiting"
    held = False
    for change in changes:
        if change == "look":
            assert await look(store, run) == ("met" if held else "waiting")
            if held:
                return
        else:
            plan: Any = None if change == "none" else change
            await store.contact(who, attributes={"plan": plan})
            held = held or change == "team"
    told = await store.rows("SELECT 1 FROM outbox WHERE kind = 'attributes' AND enrollment_id = :id", id=run.id)
    assert len(told) == held
    assert await look(store, run, last=True) == ("met" if held else "waiting")


async def test_a_look_again_after_a_lost_answer_changes_nothing(store: StoreCalls) -> None:
    run = await waiting_run(store)
    for _ in range(2):
        assert await look(store, run) == "waiting"
    await store.contact(attributes={"plan": "team"})
    assert await look(store, run) == "met"
    assert await awaited(store) == []
