"""What a person changes in the built-in CRM is an attribute and an event; what a track writes is an attribute only."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from store.people import contacts, crm_tasks
from store.people.crm import crm, crm_changes
from store.people.crm_tasks import Wanted
from tests.store.audience import segment_calls
from tests.store.store_calls import NOW, StoreCalls


def ordered(event: tuple[str, Any]) -> str:
    return json.dumps(event, sort_keys=True)


async def attributes(store: StoreCalls, contact_id: str = "ann") -> Any:
    async with store.db.transaction() as tx:
        found = await contacts.get(tx, contact_id)
    assert found is not None
    return found.attributes


async def told(store: StoreCalls) -> list[tuple[str, dict[str, Any]]]:
    rows = await store.rows("SELECT name, properties FROM event WHERE name LIKE 'crm.%' ORDER BY event_id")
    return sorted(((row.name, dict(row.properties)) for row in rows), key=ordered)


async def make_task(store: StoreCalls, number: int, contact_id: str = "ann", **more: Any) -> None:
    async with store.db.transaction() as tx:
        task = crm.NewTask(f"Call {number}", **more)
        await crm.apply(tx, contact_id, f"run-1/call-{number}/1", task=task, now=NOW)


async def test_a_stage_and_a_field_become_attributes_and_events_and_the_same_again_is_no_change(
    store: StoreCalls,
) -> None:
    await store.contact(attributes={"plan": "pro"})
    async with store.db.transaction() as tx:
        for _ in range(2):
            await crm_changes.set_stage(tx, "ann", "lead")
            await crm_changes.set_fields(tx, "ann", {"seats": 3, "stage": "x"})
        await crm_changes.set_fields(tx, "ann", {"seats": None})
        await crm_changes.set_stage(tx, "ann", None)
        assert await crm_changes.set_stage(tx, "nobody", "lead") is None
    assert await attributes(store) == {"plan": "pro"}
    own = {"source": "builtin"}
    assert await told(store) == sorted(
        [
            ("crm.stage_changed", {"to": "lead"} | own),
            ("crm.field_changed", {"field": "seats", "to": 3} | own),
            ("crm.field_changed", {"field": "stage", "to": "x"} | own),
            ("crm.field_changed", {"field": "seats", "from": 3} | own),
            ("crm.stage_changed", {"from": "lead"} | own),
        ],
        key=ordered,
    )


async def test_what_a_track_writes_is_no_persons_change_and_a_person_starts_from_it(store: StoreCalls) -> None:
    await store.contact()
    async with store.db.transaction() as tx:
        await crm.apply(tx, "ann", "k1", stage="lead", fields={"seats": 3})
        await crm_changes.mirror(tx, "ann", "lead", {"seats": 3})
    assert (await attributes(store), await told(store)) == ({"crm_stage": "lead", "crm_seats": 3}, [])
    async with store.db.transaction() as tx:
        await crm_changes.set_stage(tx, "ann", "customer")
    assert await told(store) == [("crm.stage_changed", {"from": "lead", "to": "customer", "source": "builtin"})]


async def test_a_task_is_done_once_and_told_with_the_step_that_made_it(store: StoreCalls) -> None:
    await store.contact()
    await make_task(store, 1, owner="ada")
    async with store.db.transaction() as tx:
        (task,) = await crm_tasks.page(tx, Wanted(done=False))
        first = await crm_tasks.complete(tx, task.id, "rejected", reason="no-budget", by="ada", note="Next year")
        again = await crm_tasks.complete(tx, task.id, "accepted", note="Not kept")
        assert await crm_tasks.complete(tx, "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90", "done") is None
        assert await crm_tasks.page(tx, Wanted(done=False)) == []
        card = await crm.get(tx, "ann")
    assert first is not None and again is not None and (first.changed, again.changed) == (True, False)
    assert first.task == again.task and first.task.outcome == "rejected" and first.task.done_by == "ada"
    assert card is not None and [(note.body, note.author) for note in card.notes] == [("Next year", "ada")]
    properties = {"task": task.id, "outcome": "rejected", "reason": "no-budget", "enrollment_id": "run-1"}
    assert await told(store) == [("crm.task_completed", properties | {"step": "call-1", "source": "builtin"})]


async def test_of_several_people_who_do_a_task_at_once_one_does_it(store: StoreCalls) -> None:
    await store.contact()
    await make_task(store, 1)
    async with store.db.transaction() as tx:
        (task,) = await crm_tasks.page(tx, Wanted())

    async def complete(outcome: str) -> bool:
        async with store.db.transaction() as tx:
            done = await crm_tasks.complete(tx, task.id, outcome, note=outcome)
        return done is not None and done.changed

    outcomes = ("done", "accepted", "rejected", "later")
    changed = await asyncio.gather(*(complete(outcome) for outcome in outcomes))
    assert sum(changed) == 1
    async with store.db.transaction() as tx:
        found, card = await crm_tasks.get(tx, task.id), await crm.get(tx, "ann")
    winner = outcomes[changed.index(True)]
    assert found is not None and found.outcome == winner
    assert card is not None and [note.body for note in card.notes] == [winner]
    assert [properties["outcome"] for _, properties in await told(store)] == [winner]


async def test_a_segment_follows_the_stage_whoever_sets_it(store: StoreCalls) -> None:
    name = "opportunities-by-stage"
    await segment_calls.live(store, name, 'contact.attributes.crm_stage == "opportunity"')
    await store.contact()
    for stage, by_track, wanted in (
        ("opportunity", False, ["ann"]),
        ("customer", True, []),
        ("opportunity", True, ["ann"]),
        ("lead", False, []),
    ):
        async with store.db.transaction() as tx:
            if by_track:
                await crm.apply(tx, "ann", f"key-{stage}", stage=stage)
                await crm_changes.mirror(tx, "ann", stage, {})
            else:
                await crm_changes.set_stage(tx, "ann", stage)
        assert await segment_calls.members(store, name) == wanted, stage
    changes = await store.rows("SELECT count(*) FROM event WHERE name IN ('segment.entered', 'segment.left')")
    assert [tuple(row) for row in changes] == [(4,)]


async def test_a_list_of_tasks_reads_no_more_rows_than_it_shows(store: StoreCalls) -> None:
    await store.rows(
        "INSERT INTO crm_task (id, effect_key, contact_id, title, owner, due_at, done)"
        " SELECT gen_random_uuid(), 'k' || n, 'c' || n % 100, 't', CASE WHEN n % 2 = 0 THEN 'ada' END,"
        " CASE WHEN n % 3 > 0 THEN now() + n * interval '1 minute' END, n % 5 = 0"
        " FROM generate_series(1, 4000) n RETURNING 1"
    )
    await store.rows("SELECT pg_stat_force_next_flush()")
    counters = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'crm_task'"
    for wanted in (
        Wanted(),
        Wanted(done=False),
        Wanted(done=False, owner="ada"),
        Wanted(owner=""),
        Wanted(done=True, due_before=NOW + timedelta(days=36500)),
        Wanted(contact_id="c7"),
    ):
        ((before,),) = await store.rows(counters)
        async with store.db.transaction() as tx:
            assert len(await crm_tasks.page(tx, wanted, limit=10)) == 10
        await store.rows("SELECT pg_stat_force_next_flush()")
        ((after,),) = await store.rows(counters)
        assert after - before <= 100, wanted


async def test_tasks_are_listed_by_due_date_page_by_page_with_filters(store: StoreCalls) -> None:
    await store.contact()
    await store.contact("bob")
    for number in range(9):
        due = NOW + timedelta(days=(number * 5) % 9 // 2) if number % 4 else None
        await make_task(store, number, "bob" if number % 3 == 0 else "ann", owner=("ada", None)[number % 2], due_at=due)
    async with store.db.transaction() as tx:
        whole = await crm_tasks.page(tx, Wanted())
        pages, after = [], None
        while found := await crm_tasks.page(tx, Wanted(), after=after, limit=2):
            pages += found
            after = (found[-1].due_at, found[-1].id)
        assert pages == whole and len(whole) == 9
        dues = [task.due_at for task in whole]
        assert dues == sorted(dues, key=lambda due: (due is None, due or NOW))
        for wanted, fits in (
            (Wanted(owner="ada"), lambda task: task.owner == "ada"),
            (Wanted(owner=""), lambda task: task.owner is None),
            (Wanted(contact_id="bob", done=False), lambda task: task.contact_id == "bob"),
            (Wanted(due_before=NOW + timedelta(days=1)), lambda task: task.due_at and task.due_at == NOW),
            (Wanted(done=True), lambda task: False),
        ):
            assert await crm_tasks.page(tx, wanted) == [task for task in whole if fits(task)]
