"""Breakers: what is held has a wake-up and goes in turn; who may open, resume and close one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.sending.policy import breakers
from store.sending.policy.breakers import LATEST, RESUMING, Hold
from tests.store.sending.policy.breaker_calls import EMAIL, SECOND, WELCOMES, resume, state, tend, told, trip, turn
from tests.store.store_calls import NOW, StoreCalls


async def test_an_open_breaker_holds_and_has_its_messages_ask_less_and_less_often(store: StoreCalls) -> None:
    assert await trip(store, EMAIL)
    waits = []
    for hours in (0, 1, 10):
        at = NOW + timedelta(hours=hours)
        hold = await turn(store.db, at, EMAIL, WELCOMES, spread=0.5)
        assert hold is not None and hold.scope == EMAIL
        waits.append(hold.until - at)
    assert waits == [timedelta(minutes=5), timedelta(minutes=15), LATEST]
    soonest, latest = [await turn(store.db, NOW, spread=spread) for spread in (0.0, 1.0)]
    assert soonest is not None and latest is not None
    assert latest.until - soonest.until == timedelta(minutes=2.5)


async def test_many_that_wait_ask_no_oftener_together_than_a_few_at_a_time(store: StoreCalls) -> None:
    await trip(store, EMAIL)
    await store.rows("UPDATE breaker SET held = 100000 RETURNING 1")
    hold = await turn(store.db, NOW, spread=0.5)
    assert hold is not None and hold.until - NOW == timedelta(seconds=50_000)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("a wrong price", "a wrong price"),
        ("a wrong\nprice\x1b]0;x\x07", "a wrong price ]0;x"),
        ("as ann@people.test asked", ""),
        ("why " * 200, ("why " * 50).strip()),
    ],
)
def test_what_a_breaker_holds_is_told_why_in_one_line_without_an_address(given: str, told: str) -> None:
    assert breakers.for_histories(given) == told


async def test_a_resumed_breaker_gives_each_a_place_and_keeps_its_word(store: StoreCalls) -> None:
    await trip(store, EMAIL)
    await resume(store, EMAIL, 0.5)
    assert await turn(store.db, NOW) is None
    second, third = await turn(store.db, NOW), await turn(store.db, NOW)
    assert second is not None and third is not None
    assert (second.until - NOW, third.until - NOW) == (timedelta(seconds=4), timedelta(seconds=6))
    in_time = second.until + SECOND
    newcomer = await turn(store.db, in_time)
    assert newcomer is not None and newcomer.until > third.until, "nobody goes before those who wait"
    assert await turn(store.db, in_time, deferred=told(second, NOW)) is None
    assert await turn(store.db, third.until, deferred=told(third, NOW)) is None


async def test_a_word_given_before_it_resumed_is_no_place(store: StoreCalls) -> None:
    await trip(store, EMAIL)
    held = told(await turn(store.db, NOW), NOW)
    at = held.until + SECOND
    await resume(store, EMAIL, at=at)
    assert await turn(store.db, at) is None
    assert await turn(store.db, at, deferred=held) is not None


async def test_after_an_outage_the_late_ones_come_one_after_another(store: StoreCalls) -> None:
    await trip(store, EMAIL)
    await resume(store, EMAIL)
    waiting = [told(hold, NOW) for _ in range(20) if (hold := await turn(store.db, NOW))]
    hour = NOW + timedelta(hours=1)
    again = [await turn(store.db, hour, deferred=deferred) for deferred in waiting]
    assert sum(hold is None for hold in again) <= 3
    places = [hold.until for hold in again if hold is not None]
    assert len(set(places)) == len(places) and places[0] > hour


async def test_a_message_under_two_breakers_takes_its_place_in_both(store: StoreCalls) -> None:
    for scope, rate in ((EMAIL, 1.0), (WELCOMES, 0.1)):
        await trip(store, scope)
        await resume(store, scope, rate)
    assert await turn(store.db, NOW, EMAIL, WELCOMES) is None
    hold = await turn(store.db, NOW, EMAIL, WELCOMES)
    assert hold == Hold(WELCOMES, NOW + timedelta(seconds=20), RESUMING)
    assert await turn(store.db, hold.until, EMAIL, WELCOMES, deferred=told(hold, NOW)) is None


async def test_it_closes_once_all_that_it_held_has_gone_or_ended(store: StoreCalls) -> None:
    gone = await store.live()
    await trip(store, WELCOMES)
    held = await store.claim(gone.id, now=NOW)
    assert (held.decision, held.reason) == ("deferred", f"breaker: {WELCOMES}")
    assert await tend(store, NOW) == []
    assert (await state(store, WELCOMES)).held == 1
    await resume(store, WELCOMES)
    assert await tend(store, NOW + SECOND) == [], "one waits still"
    await store.close(gone.id)
    assert await tend(store, NOW + SECOND) == [(WELCOMES, "closed")]
    assert (await state(store, WELCOMES)).held == 0


async def test_a_claim_waits_and_then_goes_through(store: StoreCalls) -> None:
    run = await store.live()
    await trip(store, EMAIL)
    at = NOW
    first = await store.claim(run.id, now=at)
    await resume(store, EMAIL, 0.01, at=at)
    assert first.until is not None
    at = first.until
    await turn(store.db, at)
    place = await store.claim(run.id, now=at)
    assert place.decision == "deferred" and place.until is not None
    assert (await store.claim(run.id, now=place.until + SECOND)).decision == "granted"


async def test_an_operators_word_outranks_all_and_a_full_account_nobody(store: StoreCalls) -> None:
    until = NOW + SECOND
    assert await trip(store, EMAIL, "provider", until=until)
    assert not await trip(store, EMAIL, "provider", until=until + SECOND), "the same again is no news"
    assert (await state(store, EMAIL)).until == until + SECOND
    assert await trip(store, EMAIL, "bounces")
    assert not await trip(store, EMAIL, "provider", until=until)
    assert not await trip(store, EMAIL, "complaints")
    assert await resume(store, EMAIL, only="provider") is None
    assert await trip(store, EMAIL, "operator")
    found = await state(store, EMAIL)
    assert (found.state, found.cause, found.until) == ("open", "operator", None)


async def test_only_what_the_provider_caused_resumes_by_itself(store: StoreCalls) -> None:
    until = NOW + timedelta(hours=1)
    await trip(store, EMAIL, "provider", until=until)
    await trip(store, WELCOMES, "complaints")
    assert await tend(store, until - SECOND) == []
    assert await tend(store, until) == [(EMAIL, "resuming")]
    assert (await state(store, WELCOMES)).state == "open"
