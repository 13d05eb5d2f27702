"""What sales says: each answer counts once, is told to tracks in the same transaction, and may come too late."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.people import erasure
from store.people.handoffs import answering
from store.people.handoffs import handoff as handoffs
from store.people.handoffs.answering import LATE_AT_MOST
from store.people.handoffs.handoff import Wanted
from tests.store.people.handoffs.handoff_calls import DUE, hand_over, handed, leads, say
from tests.store.store_calls import NOW, StoreCalls


async def told(store: StoreCalls) -> list[tuple[str, str]]:
    """The names of the stored events, and the reasons in them."""
    rows = await store.rows("SELECT name, properties->>'reason' AS reason FROM event ORDER BY received_at, event_id")
    return [(row.name, row.reason or "") for row in rows]


async def test_an_answer_reaches_the_waiting_run_as_an_event_with_ids_only(store: StoreCalls) -> None:
    made = await handed(store)
    answered = await say(store, made, "rejected", "not-a-fit")
    assert (answered.outcome, answered.handoff.status, answered.handoff.answered_at) == ("taken", "rejected", NOW)
    assert answered.accepted is not None and answered.accepted.matched == 1
    assert await told(store) == [("handoff.rejected", "not-a-fit")]
    ((_, signal),) = await store.waiting("event")
    assert signal["event_id"] == f"handoff:{made.effect_key}:rejected"
    assert signal["matches"] == ["step:sales"]
    assert "ann" not in str(signal)


async def test_the_same_answer_again_changes_nothing_and_another_is_kept_as_feedback(store: StoreCalls) -> None:
    made = await handed(store)
    assert [(await say(store, made, "accepted")).outcome for _ in range(2)] == ["taken", "repeated"]
    for _ in range(2):
        late = await say(store, made, "rejected", "not-a-fit", by="link")
        assert (late.outcome, late.handoff.status) == ("late", "accepted")
        kept = {"status": "rejected", "reason": "not-a-fit", "by": "link", "at": NOW.isoformat()}
        assert late.handoff.late_answers == [kept]
    assert await told(store) == [("handoff.accepted", "")]


async def test_of_two_answers_at_once_one_counts(store: StoreCalls) -> None:
    made = await handed(store)
    one, other = await asyncio.gather(say(store, made, "accepted"), say(store, made, "rejected", "not-a-fit"))
    assert sorted((one.outcome, other.outcome)) == ["late", "taken"]
    assert len(await told(store)) == 1


@pytest.mark.parametrize("said", ["recycled", "converted"])
async def test_only_an_accepted_lead_is_given_back_or_becomes_a_customer(store: StoreCalls, said: str) -> None:
    made = await handed(store)
    assert (await say(store, made, said)).outcome == "refused"  # type: ignore[arg-type]
    await say(store, made, "accepted")
    assert (await say(store, made, said)).outcome == "taken"  # type: ignore[arg-type]
    assert [name for name, _ in await told(store)] == ["handoff.accepted", f"handoff.{said}"]


async def test_an_answer_after_the_run_gave_up_is_kept_and_tells_tracks_nothing(store: StoreCalls) -> None:
    made = await handed(store)
    async with store.db.transaction() as tx:
        ended = await answering.settle(tx, made.effect_key, "expired", now=DUE)
    assert ended is not None and ended.status == "expired"
    late = await say(store, made, "accepted")
    assert (late.outcome, late.handoff.status, len(late.handoff.late_answers)) == ("late", "expired", 1)
    assert (await say(store, made, "rejected", "not-a-fit")).handoff.late_answers[-1]["status"] == "rejected"
    assert [name for name, _ in await told(store)] == ["handoff.expired"]


async def test_late_answers_that_are_kept_have_a_limit(store: StoreCalls) -> None:
    made = await handed(store)
    await say(store, made, "accepted")
    for number in range(LATE_AT_MOST + 5):
        late = await say(store, made, "rejected", f"reason-{number}")
    assert [one["reason"] for one in late.handoff.late_answers] == [f"reason-{n}" for n in range(5, LATE_AT_MOST + 5)]


async def test_accepting_what_was_accepted_and_has_ended_since_repeats_the_answer(store: StoreCalls) -> None:
    made = await handed(store)
    for said in ("accepted", "converted", "accepted"):
        last = await say(store, made, said)
    assert (last.outcome, last.handoff.status, last.handoff.late_answers) == ("repeated", "converted", [])


async def test_a_run_that_gives_up_finds_the_answer_that_came_before(store: StoreCalls) -> None:
    made = await handed(store)
    await say(store, made, "accepted")
    async with store.db.transaction() as tx:
        found = await answering.settle(tx, made.effect_key, "expired", now=DUE)
    assert found is not None and found.status == "accepted"
    assert [name for name, _ in await told(store)] == ["handoff.accepted"]


async def test_a_lead_is_answered_by_the_task_in_the_crm_or_by_its_effect(store: StoreCalls) -> None:
    by_task, by_effect = await handed(store, "a"), await handed(store, "b")
    await store.rows("UPDATE handoff SET crm_task_id = 'task-7' WHERE id = :id RETURNING 1", id=by_task.id)
    async with store.db.transaction() as tx:
        task = await answering.answer(tx, "accepted", crm_task_id="task-7", by="crm")
        effect = await answering.answer(tx, "accepted", effect_key=by_effect.effect_key, by="crm")
        nobody = await answering.answer(tx, "accepted", crm_task_id="task-8")
    assert task is not None and (task.outcome, task.handoff.id) == ("taken", by_task.id)
    assert effect is not None and (effect.outcome, effect.handoff.id) == ("taken", by_effect.id)
    assert nobody is None


async def test_a_handoff_whose_run_has_ended_expires_when_it_is_due_and_one_of_a_live_run_does_not(
    store: StoreCalls,
) -> None:
    live = await handed(store, "live")
    run = await leads(store, "over")
    over = await hand_over(store, run)
    assert over is not None
    await store.close(run.id)
    async with store.db.transaction() as tx:
        assert await answering.expire_unattended(tx, now=DUE - timedelta(seconds=1)) == []
        assert await answering.expire_unattended(tx, now=DUE) == [over.id]
        assert await answering.expire_unattended(tx, now=DUE) == []
        found = await handoffs.get(tx, live.id)
    assert found is not None and found.status == "waiting"


async def test_erasing_a_contact_removes_the_handoff_and_its_answer_finds_nothing(store: StoreCalls) -> None:
    made = await handed(store)
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
    assert await store.rows("SELECT 1 FROM handoff") == []
    async with store.db.transaction() as tx:
        assert await answering.answer(tx, "accepted", handoff_id=made.id) is None
        assert await answering.settle(tx, made.effect_key, "expired") is None


async def test_a_handoff_that_races_an_erasure_leaves_nothing_behind(store: StoreCalls) -> None:
    for number in range(10):
        run = await leads(store, f"c{number}")

        async def erased(contact_id: str = f"c{number}") -> None:
            async with store.db.transaction() as tx:
                await erasure.erase(tx, contact_id)

        await asyncio.gather(hand_over(store, run), erased(), return_exceptions=True)
    assert await store.rows("SELECT 1 FROM handoff") == []


async def test_a_list_is_filtered_and_paged_newest_first(store: StoreCalls) -> None:
    made = [await handed(store, f"c{number}") for number in range(4)]
    await say(store, made[1], "accepted")
    async with store.db.transaction() as tx:
        page = await handoffs.page(tx, Wanted(), limit=2)
        rest = await handoffs.page(tx, Wanted(), before=page[-1].id)
        adas = await handoffs.page(tx, Wanted(salesperson="ada", status="waiting"))
        ones = await handoffs.page(tx, Wanted(contact_id="c1", team="sales", track="lead"))
        none = await handoffs.page(tx, Wanted(until=NOW))
    assert [one.contact_id for one in (*page, *rest)] == ["c3", "c2", "c1", "c0"]
    assert [one.contact_id for one in adas] == ["c2", "c0"]
    assert [(one.contact_id, one.status) for one in ones] == [("c1", "accepted")]
    assert none == []
