"""While a lead is with sales, the promotional messages that the policy names wait, or are skipped, and say why."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from store.people.handoffs import assigning
from store.people.handoffs.assigning import Lead
from store.runs.enrollments import enrollments
from tests.store.people.handoffs.handoff_calls import ADA_AND_EMIL, DUE, hand_over, leads, say
from tests.store.sending.claims import claim, publish
from tests.store.store_calls import NOW, StoreCalls

SALES = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada}]}}
  reject_reasons: {not-a-fit: Not a fit}
  hold: {tracks: %s, after_accepted: 14d, messages: %s}
"""
LONG = timedelta(days=30)


async def test_a_message_waits_while_sales_has_to_answer_and_is_looked_at_again_ever_more_rarely(
    store: StoreCalls,
) -> None:
    await publish(store, SALES % ("[welcome]", "defer"))
    run = await store.live()
    made = await hand_over(store, await leads(store))
    assert made is not None
    looked, now = [], NOW
    while (held := await claim(store, run, now, hold=LONG)).decision == "deferred":
        assert held.until is not None and held.reason == "with sales"
        looked.append(held.until - NOW)
        now = held.until
    hours = [span / timedelta(hours=1) for span in looked]
    assert hours == [1, 2, 4, 8, 16, 32, 48]
    assert (held.decision, now) == ("granted", DUE)


async def test_a_rejected_lead_gets_messages_again_and_an_accepted_one_after_the_policys_time(
    store: StoreCalls,
) -> None:
    await publish(store, SALES % ("all", "defer"))
    first, second = await store.live(), await store.live(contact_id="bob")
    for contact_id, said, reason in (("ann", "rejected", "not-a-fit"), ("bob", "accepted", "")):
        made = await hand_over(store, await leads(store, contact_id))
        assert made is not None
        await say(store, made, said, reason)  # type: ignore[arg-type]
    assert (await claim(store, first)).decision == "granted"
    assert (await claim(store, second, hold=LONG)).reason == "with sales"
    assert (await claim(store, second, NOW + timedelta(days=14), hold=LONG)).decision == "granted"


async def test_a_message_that_may_not_wait_so_long_expires_with_the_reason(store: StoreCalls) -> None:
    await publish(store, SALES % ("all", "defer"))
    run = await store.live()
    await hand_over(store, await leads(store))
    held = await claim(store, run, hold=timedelta(hours=2))
    assert held.until == NOW + timedelta(hours=1)
    last = await claim(store, run, NOW + timedelta(hours=1), hold=timedelta(hours=2))
    assert last.until == NOW + timedelta(hours=2)
    over = await claim(store, run, NOW + timedelta(hours=2), hold=timedelta(hours=2))
    assert (over.status, over.reason) == ("skipped", "expired: with sales")


async def test_the_policy_may_skip_messages_instead(store: StoreCalls) -> None:
    await publish(store, SALES % ("all", "skip"))
    run = await store.live()
    await hand_over(store, await leads(store))
    skipped = await claim(store, run)
    assert (skipped.status, skipped.reason) == ("skipped", "with sales")


async def test_a_message_that_is_claimed_while_the_lead_is_handed_over_waits_and_is_held(store: StoreCalls) -> None:
    await publish(store, SALES % ("all", "defer"))
    run, lead = await store.live(), await leads(store)
    async with store.db.transaction() as tx:
        held = await enrollments.lock_run(tx, lead.id)
        assert held is not None
        claiming = asyncio.create_task(claim(store, run))
        await asyncio.sleep(0.2)
        assert not claiming.done()
        await assigning.assign(tx, ADA_AND_EMIL, Lead(held, "k", "sales", "sales", "Call", "", DUE), now=NOW)
    assert (await claiming).reason == "with sales"


@pytest.mark.parametrize(
    ("policy", "rules"),
    [
        (SALES % ("all", "defer"), {"transactional": True}),
        (SALES % ("[other]", "defer"), {}),
        ("caps: []", {}),
    ],
    ids=["transactional", "another track", "no hold"],
)
async def test_what_the_policy_does_not_name_is_not_held(store: StoreCalls, policy: str, rules: dict[str, Any]) -> None:
    await publish(store, policy)
    run = await store.live()
    await hand_over(store, await leads(store))
    assert (await claim(store, run, **rules)).decision == "granted"
