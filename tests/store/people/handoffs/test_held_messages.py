"""The end of a handoff wakes the runs whose messages waited for it, and no others."""

from __future__ import annotations

from datetime import timedelta

from store.people.handoffs import answering
from store.people.handoffs.handoff import Handoff
from store.schema.rows import Enrollment
from tests.store.people.handoffs.handoff_calls import DUE, hand_over, leads, say
from tests.store.sending.claims import MANY, claim, publish, several
from tests.store.store_calls import StoreCalls

SALES = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada}]}}
  reject_reasons: {not-a-fit: Not a fit}
  hold: {tracks: all, after_accepted: %s}
"""
LONG = timedelta(days=30)


async def held(store: StoreCalls, after_accepted: str = "14d") -> tuple[Handoff, Enrollment]:
    """A handoff with its run, and a message of another track that waits for its end."""
    await publish(store, SALES % after_accepted)
    run, lead = await store.live(), await leads(store)
    made = await hand_over(store, lead)
    assert made is not None
    assert (await claim(store, run, hold=LONG)).reason == "with sales"
    return made, lead


async def woken(store: StoreCalls) -> list[str]:
    """The waits that signals to runs end."""
    return [signal["met"] for _, signal in await store.waiting("attributes")]


async def test_a_rejection_wakes_the_messages_that_waited_for_it_once(store: StoreCalls) -> None:
    made, _ = await held(store)
    for _ in range(2):
        await say(store, made, "rejected", "not-a-fit")
    assert await woken(store) == ["hello/1"]


async def test_the_messages_of_all_tracks_wake_when_nobody_answers(store: StoreCalls) -> None:
    made, _ = await held(store)
    await store.publish(MANY)
    (other,) = await several(store, 1)
    assert (await claim(store, other, hold=LONG)).reason == "with sales"
    async with store.db.transaction() as tx:
        await answering.settle(tx, made.effect_key, "expired", now=DUE)
    assert await woken(store) == ["hello/1", "hello/1"]


async def test_an_accepted_lead_wakes_them_only_if_sales_then_has_it_for_less_than_they_wait(
    store: StoreCalls,
) -> None:
    made, _ = await held(store)
    await say(store, made, "accepted")
    assert await woken(store) == []
    await say(store, made, "recycled")
    assert await woken(store) == ["hello/1"]


async def test_a_short_time_after_accepting_ends_before_the_message_would_be_looked_at(store: StoreCalls) -> None:
    made, _ = await held(store, "1m")
    await say(store, made, "accepted")
    assert await woken(store) == ["hello/1"]


async def test_another_handoff_that_still_waits_keeps_them_asleep(store: StoreCalls) -> None:
    made, lead = await held(store)
    second = await hand_over(store, lead, occurrence=2)
    assert second is not None
    await say(store, made, "rejected", "not-a-fit")
    assert await woken(store) == []
    await say(store, second, "rejected", "not-a-fit")
    assert await woken(store) == ["hello/1"]
