"""The CRM's task follows the answer: the built-in CRM's at once, one in HubSpot later, and never twice at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.people import crm_tasks
from store.people.crm import crm
from store.people.crm.crm import NewTask
from store.people.handoffs import answering, assigning, task_updates
from store.people.handoffs.handoff import Handoff
from store.people.handoffs.task_updates import LEASE, TaskUpdate
from tests.store.people.handoffs.handoff_calls import DUE, handed, say
from tests.store.store_calls import NOW, StoreCalls


async def with_task(store: StoreCalls, task_id: str | None = None) -> Handoff:
    """A handoff with its task: that one in HubSpot, or a task of the built-in CRM."""
    made = await handed(store)
    async with store.db.transaction() as tx:
        if task_id is None:
            await crm.apply(tx, made.contact_id, made.effect_key, task=NewTask("Call them"), now=NOW)
        await assigning.set_task(tx, made.effect_key, task_id)
    return made


async def task_and_notes(store: StoreCalls) -> tuple[tuple[bool, str | None, str | None], list[str]]:
    ((done, outcome, reason),) = await store.rows("SELECT done, outcome, reason FROM crm_task")
    notes = await store.rows("SELECT body FROM crm_note ORDER BY id")
    return (done, outcome, reason), [row.body for row in notes]


async def claim(store: StoreCalls, after: timedelta = timedelta(0)) -> list[TaskUpdate]:
    async with store.db.transaction() as tx:
        return await task_updates.claim(tx, NOW + after)


async def test_a_rejected_lead_closes_its_task_and_an_accepted_one_leaves_it_open(store: StoreCalls) -> None:
    made = await with_task(store)
    await say(store, made, "accepted")
    assert await task_and_notes(store) == ((False, None, None), ["Call them: accepted"])
    await say(store, made, "converted")
    assert await task_and_notes(store) == (
        (True, "converted", None),
        ["Call them: accepted", "Call them: converted"],
    )


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_rejection_is_noted_once_with_its_reason(store: StoreCalls, attempts: int) -> None:
    made = await with_task(store)
    for _ in range(attempts):
        await say(store, made, "rejected", "not-a-fit")
    assert await task_and_notes(store) == ((True, "rejected", "not-a-fit"), ["Call them: rejected (not-a-fit)"])


async def test_a_handoff_that_nobody_answered_or_whose_run_has_ended_closes_its_task(store: StoreCalls) -> None:
    made = await with_task(store)
    await store.close(made.enrollment_id)
    async with store.db.transaction() as tx:
        await answering.expire_unattended(tx, now=DUE)
    assert await task_and_notes(store) == ((True, "expired", None), ["Call them: expired"])


async def test_a_task_that_was_done_and_so_brought_the_answer_stays_as_it_is(store: StoreCalls) -> None:
    made = await with_task(store)
    ((task_id,),) = await store.rows("SELECT CAST(id AS text) FROM crm_task")
    async with store.db.transaction() as tx:
        await crm_tasks.complete(tx, task_id, "interested", by="ada", now=NOW)
    await say(store, made, "converted")
    assert await task_and_notes(store) == ((True, "interested", None), ["Call them: converted"])


async def test_a_task_in_hubspot_is_taken_by_one_process_at_a_time(store: StoreCalls) -> None:
    await say(store, await with_task(store, "t-1"), "rejected", "not-a-fit")
    found = await asyncio.gather(*(claim(store) for _ in range(3)))
    (update,) = [one for taken in found for one in taken]
    assert (update.task_id, update.status, update.reason, update.attempts) == ("t-1", "rejected", "not-a-fit", 1)
    ((again,), gone) = (await claim(store, LEASE), await claim(store, LEASE))
    assert (again.attempts, gone) == (2, [])
    async with store.db.transaction() as tx:
        await task_updates.settle(tx, again, NOW)
    assert await claim(store, timedelta(days=1)) == []


async def test_an_answer_during_an_update_is_shown_after_it(store: StoreCalls) -> None:
    made = await with_task(store, "t-1")
    await say(store, made, "accepted")
    (update,) = await claim(store)
    await say(store, made, "recycled")
    async with store.db.transaction() as tx:
        await task_updates.settle(tx, update, NOW)
    assert [one.status for one in await claim(store)] == ["recycled"]


async def test_an_answer_before_hubspot_has_made_the_task_is_shown_once_it_has(store: StoreCalls) -> None:
    made = await handed(store)
    await say(store, made, "rejected", "not-a-fit")
    assert await claim(store) == []
    async with store.db.transaction() as tx:
        await assigning.set_task(tx, made.effect_key, "t-1")
    assert [one.task_id for one in await claim(store, timedelta(days=3650))] == ["t-1"]


async def test_what_hubspot_refuses_is_counted_and_kept_with_the_handoff(store: StoreCalls) -> None:
    await say(store, await with_task(store, "t-1"), "rejected", "not-a-fit")
    (update,) = await claim(store)
    async with store.db.transaction() as tx:
        await task_updates.fail(tx, update, "hubspot:404", None)
    assert await store.rows("SELECT task_fault, task_update_at FROM handoff") == [("hubspot:404", None)]
    assert await store.rows("SELECT reason, kind, count FROM dropped") == [("refused", "crm task", 1)]
