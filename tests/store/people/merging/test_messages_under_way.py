"""A step's message that is being sent while two contacts are merged is sent once, or by the run that goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.store.people.merging.merge_calls import merged, unmerged
from tests.store.store_calls import NOW, WELCOME, StoreCalls

DAY = timedelta(days=1)


@pytest.mark.parametrize("outcome", ["sent", "released", "nobody knows"])
async def test_a_step_that_the_ending_run_is_just_sending_waits_until_the_outcome_is_known(
    store: StoreCalls, outcome: str
) -> None:
    await store.publish(WELCOME)
    await store.contact("ann")
    await store.contact("bob")
    older = await store.enrolled("welcome", "ann", now=NOW - DAY)
    younger = await store.enrolled("welcome", "bob", now=NOW)
    sending = await store.claim(younger.id, now=NOW)
    await merged(store)
    waits = await store.claim(older.id, "t2", now=NOW)
    assert (waits.decision, waits.reason) == ("deferred", "under way when the contacts were merged")
    assert waits.until == NOW + timedelta(minutes=1)
    if outcome == "sent":
        await store.settle(sending, "sent", provider_id="p1")
    elif outcome == "released":
        await store.release(sending)
    claim = await store.claim(older.id, "t3", now=NOW + timedelta(minutes=61 if outcome == "nobody knows" else 1))
    assert (claim.decision, claim.status) == (("granted", None) if outcome == "released" else ("settled", "skipped"))


async def test_undoing_the_merge_lets_a_waiting_message_go_out(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact("ann")
    await store.contact("bob")
    older = await store.enrolled("welcome", "ann", now=NOW - DAY)
    younger = await store.enrolled("welcome", "bob", now=NOW)
    await store.claim(younger.id, now=NOW)
    await merged(store)
    assert (await store.claim(older.id, "t2", now=NOW)).decision == "deferred"
    await unmerged(store)
    assert (await store.claim(older.id, "t3", now=NOW)).decision == "granted"
