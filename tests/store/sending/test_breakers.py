"""Breakers: held messages have a wake-up time, and go out at a bounded rate, in order, exactly once, also in races."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.engine import periodic_jobs
from store.engine.database import Database
from store.engine.ids import new_id
from store.sending import breakers
from store.sending.breakers import LATE, LATEST, RESUMING, Breaker, Cause, Deferred, Hold, account, of_track
from tests.store.scene import NOW, TRIAL, WELCOME, Scene

EMAIL, WELCOMES = account("email"), of_track("welcome")
SECOND = timedelta(seconds=1)


async def trip(scene: Scene, scope: str, cause: Cause = "operator", *, at: datetime = NOW, **more: Any) -> bool:
    async with scene.db.transaction() as tx:
        return await breakers.trip(tx, scope, cause, "because", now=at, **more)


async def resume(scene: Scene, scope: str, rate: float = 1, *, at: datetime = NOW, **more: Any) -> Breaker | None:
    async with scene.db.transaction() as tx:
        return await breakers.resume(tx, scope, per_second=rate, now=at, **more)


async def tend(scene: Scene, at: datetime) -> list[tuple[str, str]]:
    async with scene.db.transaction() as tx:
        return [(breaker.scope, breaker.state) for breaker in await breakers.tend(tx, per_second=1, now=at)]


async def turn(
    db: Database, at: datetime, *scopes: str, deferred: Deferred | None = None, spread: float | None = None
) -> Hold | None:
    async with db.transaction() as tx:
        return await breakers.turn(tx, scopes or (EMAIL,), at, deferred, spread=spread)


async def state(scene: Scene, scope: str) -> Breaker:
    async with scene.db.transaction() as tx:
        found = await breakers.find(tx, scope)
    assert found is not None
    return found


def told(hold: Hold | None, at: datetime) -> Deferred:
    assert hold is not None
    return Deferred(f"breaker: {hold.scope}", at, hold.until)


def most_within(moments: Sequence[datetime], rate: float) -> None:
    """Check that between any two moments there are no more messages than the rate and the allowed lateness permit."""
    for first in range(len(moments)):
        for last in range(first, len(moments)):
            seconds = (moments[last] - moments[first] + LATE).total_seconds()
            assert last - first + 1 <= rate * seconds + 1 + 1e-6, moments[first : last + 1]


async def test_an_open_breaker_holds_and_has_its_messages_ask_less_and_less_often(scene: Scene) -> None:
    assert await trip(scene, EMAIL)
    waits = []
    for hours in (0, 1, 10):
        at = NOW + timedelta(hours=hours)
        hold = await turn(scene.db, at, EMAIL, WELCOMES, spread=0.5)
        assert hold is not None and hold.scope == EMAIL
        waits.append(hold.until - at)
    assert waits == [timedelta(minutes=5), timedelta(minutes=15), LATEST]
    soonest, latest = [await turn(scene.db, NOW, spread=spread) for spread in (0.0, 1.0)]
    assert soonest is not None and latest is not None
    assert latest.until - soonest.until == timedelta(minutes=2.5)


async def test_many_that_wait_ask_no_oftener_together_than_a_few_at_a_time(scene: Scene) -> None:
    await trip(scene, EMAIL)
    await scene.rows("UPDATE breaker SET held = 100000 RETURNING 1")
    hold = await turn(scene.db, NOW, spread=0.5)
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


async def test_a_resumed_breaker_gives_each_a_place_and_keeps_its_word(scene: Scene) -> None:
    await trip(scene, EMAIL)
    await resume(scene, EMAIL, 0.5)
    assert await turn(scene.db, NOW) is None
    second, third = await turn(scene.db, NOW), await turn(scene.db, NOW)
    assert second is not None and third is not None
    assert (second.until - NOW, third.until - NOW) == (timedelta(seconds=4), timedelta(seconds=6))
    in_time = second.until + SECOND
    newcomer = await turn(scene.db, in_time)
    assert newcomer is not None and newcomer.until > third.until, "nobody goes before those who wait"
    assert await turn(scene.db, in_time, deferred=told(second, NOW)) is None
    assert await turn(scene.db, third.until, deferred=told(third, NOW)) is None


async def test_a_word_given_before_it_resumed_is_no_place(scene: Scene) -> None:
    await trip(scene, EMAIL)
    held = told(await turn(scene.db, NOW), NOW)
    at = held.until + SECOND
    await resume(scene, EMAIL, at=at)
    assert await turn(scene.db, at) is None
    assert await turn(scene.db, at, deferred=held) is not None


async def test_after_an_outage_the_late_ones_come_one_after_another(scene: Scene) -> None:
    await trip(scene, EMAIL)
    await resume(scene, EMAIL)
    waiting = [told(hold, NOW) for _ in range(20) if (hold := await turn(scene.db, NOW))]
    hour = NOW + timedelta(hours=1)
    again = [await turn(scene.db, hour, deferred=deferred) for deferred in waiting]
    assert sum(hold is None for hold in again) <= 3
    places = [hold.until for hold in again if hold is not None]
    assert len(set(places)) == len(places) and places[0] > hour


async def test_a_message_under_two_breakers_takes_its_place_in_both(scene: Scene) -> None:
    for scope, rate in ((EMAIL, 1.0), (WELCOMES, 0.1)):
        await trip(scene, scope)
        await resume(scene, scope, rate)
    assert await turn(scene.db, NOW, EMAIL, WELCOMES) is None
    hold = await turn(scene.db, NOW, EMAIL, WELCOMES)
    assert hold == Hold(WELCOMES, NOW + timedelta(seconds=20), RESUMING)
    assert await turn(scene.db, hold.until, EMAIL, WELCOMES, deferred=told(hold, NOW)) is None


async def test_workers_that_race_get_no_more_than_the_rate(scene: Scene) -> None:
    await trip(scene, EMAIL)
    await trip(scene, WELCOMES)
    await resume(scene, EMAIL, 4)
    await resume(scene, WELCOMES, 3)
    url = scene.db.engine.url.render_as_string(hide_password=False)
    others = [Database(url, 4) for _ in range(3)]
    went: list[datetime] = []
    promised: dict[int, Deferred | None] = dict.fromkeys(range(12))
    at = NOW
    try:
        while promised:
            due = [number for number, told in promised.items() if told is None or told.until <= at]
            scopes = [[EMAIL, WELCOMES], [WELCOMES, EMAIL], [WELCOMES]]
            holds = await asyncio.gather(*(turn(others[n % 3], at, *scopes[n % 3], deferred=promised[n]) for n in due))
            for number, hold in zip(due, holds, strict=True):
                if hold is None:
                    went.append(at)
                    del promised[number]
                else:
                    assert hold.until > at
                    promised[number] = told(hold, at)
            places = [told.until for told in promised.values() if told]
            assert len(set(places)) == len(places), "two were given the same place"
            at += SECOND / 2
    finally:
        for db in others:
            await db.close()
    most_within(went, 3)
    assert went[-1] - NOW <= timedelta(seconds=8)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    seed=st.integers(0, 2**32),
    acts=st.lists(
        st.tuples(
            st.integers(0, 7200),
            st.sampled_from([EMAIL, WELCOMES, of_track("trial")]),
            st.sampled_from(["operator", "bounces", "provider", "resume", "resume"]),
        ),
        max_size=8,
    ),
)
async def test_whatever_opens_and_resumes_everything_goes_out_once_and_never_in_a_flood(
    scene: Scene, seed: int, acts: list[tuple[int, str, str]]
) -> None:
    """A simulated clock with the real tables: all that the ledger stores about a message is in its row."""
    chance = random.Random(seed)
    await scene.rows("DELETE FROM breaker RETURNING 1")
    runs = await _runs(scene)
    wakes = [(NOW + chance.random() * timedelta(hours=2), n, "") for n in range(8)]
    told: dict[int, Deferred | None] = {}
    went: dict[str, list[datetime]] = {}
    sent: list[int] = []
    rates: dict[str, float] = {}
    plan = [(NOW + timedelta(seconds=at), 100 + n, f"{act} {scope}") for n, (at, scope, act) in enumerate(acts)]
    rest = [(NOW + timedelta(hours=3), 200 + n, f"resume {scope}") for n, (_, scope, _) in enumerate(acts)]
    queue = [*wakes, *plan, *rest]
    heapq.heapify(queue)
    steps = 0
    while queue:
        at, number, act = heapq.heappop(queue)
        steps += 1
        assert steps < 400, "somebody asks for ever"
        if act:
            word, scope = act.split()
            await tend(scene, at)
            if word == "resume":
                rate = chance.choice([0.01, 1, 50])
                if await resume(scene, scope, rate, at=at):
                    rates[scope], went[scope] = rate, []
            elif await trip(scene, scope, word, at=at, until=at + timedelta(hours=1) if word == "provider" else None):  # type: ignore[arg-type]
                rates.pop(scope, None)
            continue
        late = at + chance.random() * SECOND
        run, track = runs[number % 2], ("welcome", "trial")[number % 2]
        async with scene.db.transaction() as tx:
            standing = {b.scope: b.state for b in await breakers.all_known(tx)}
            scopes = [s for s in (EMAIL, of_track(track)) if standing.get(s, "closed") != "closed"]
            hold = await breakers.turn(tx, scopes, late, told.get(number)) if scopes else None
            await _keep(tx, run, number, hold, late)
        if hold is None:
            assert "open" not in {standing[scope] for scope in scopes}
            sent.append(number)
            for scope in scopes:
                went.setdefault(scope, []).append(late)
                most_within(sorted(went[scope]), rates.get(scope, 1))
        else:
            assert hold.until > late
            told[number] = Deferred(f"breaker: {hold.scope}", late, hold.until)
            heapq.heappush(queue, (hold.until, number, ""))
    assert sorted(sent) == list(range(8))
    end = NOW + timedelta(days=30)
    await tend(scene, end)
    await tend(scene, end + SECOND)
    async with scene.db.transaction() as tx:
        assert {b.state for b in await breakers.all_known(tx)} <= {"closed"}


async def _runs(scene: Scene) -> list[str]:
    found = await scene.rows("SELECT id FROM enrollment ORDER BY id")
    if not found:
        await scene.publish(WELCOME, TRIAL)
        await scene.contact("ann")
        return [(await scene.enrolled("welcome")).id, (await scene.enrolled("trial")).id]
    return [row.id for row in found]


async def _keep(tx: Any, run: str, number: int, hold: Hold | None, at: datetime) -> None:
    statement = """
        INSERT INTO message (id, effect_key, enrollment_id, contact_id, track, step, channel, status, token, reason,
            claimed_at) VALUES (:id, :key, :run, 'ann', 'x', 'x', 'email', :status, '', :reason, :at)
        ON CONFLICT (effect_key) DO UPDATE SET status = excluded.status, reason = excluded.reason
    """
    values = {
        "id": new_id(),
        "key": str(number),
        "run": run,
        "status": "deferred" if hold else "sent",
        "reason": f"breaker: {hold.scope}" if hold else "",
        "at": at,
    }
    await tx.execute(text(statement), values)


async def test_it_closes_once_all_that_it_held_has_gone_or_ended(scene: Scene) -> None:
    gone = await scene.live()
    await trip(scene, WELCOMES)
    held = await scene.claim(gone.id, now=NOW)
    assert (held.decision, held.reason) == ("deferred", f"breaker: {WELCOMES}")
    assert await tend(scene, NOW) == []
    assert (await state(scene, WELCOMES)).held == 1
    await resume(scene, WELCOMES)
    assert await tend(scene, NOW + SECOND) == [], "one waits still"
    await scene.close(gone.id)
    assert await tend(scene, NOW + SECOND) == [(WELCOMES, "closed")]
    assert (await state(scene, WELCOMES)).held == 0


async def test_a_claim_waits_and_then_goes_through(scene: Scene) -> None:
    run = await scene.live()
    await trip(scene, EMAIL)
    at = NOW
    first = await scene.claim(run.id, now=at)
    await resume(scene, EMAIL, 0.01, at=at)
    assert first.until is not None
    at = first.until
    await turn(scene.db, at)
    place = await scene.claim(run.id, now=at)
    assert place.decision == "deferred" and place.until is not None
    assert (await scene.claim(run.id, now=place.until + SECOND)).decision == "granted"


async def test_an_operators_word_outranks_all_and_a_full_account_nobody(scene: Scene) -> None:
    until = NOW + SECOND
    assert await trip(scene, EMAIL, "provider", until=until)
    assert not await trip(scene, EMAIL, "provider", until=until + SECOND), "the same again is no news"
    assert (await state(scene, EMAIL)).until == until + SECOND
    assert await trip(scene, EMAIL, "bounces")
    assert not await trip(scene, EMAIL, "provider", until=until)
    assert not await trip(scene, EMAIL, "complaints")
    assert await resume(scene, EMAIL, only="provider") is None
    assert await trip(scene, EMAIL, "operator")
    found = await state(scene, EMAIL)
    assert (found.state, found.cause, found.until) == ("open", "operator", None)


async def test_only_what_the_provider_caused_resumes_by_itself(scene: Scene) -> None:
    until = NOW + timedelta(hours=1)
    await trip(scene, EMAIL, "provider", until=until)
    await trip(scene, WELCOMES, "complaints")
    assert await tend(scene, until - SECOND) == []
    assert await tend(scene, until) == [(EMAIL, "resuming")]
    assert (await state(scene, WELCOMES)).state == "open"


@pytest.mark.parametrize("known", [False, True])
async def test_a_chore_is_done_by_one_at_a_time_and_then_not_before_its_time(db: Database, known: bool) -> None:
    if known:
        async with db.transaction() as tx:
            await periodic_jobs.again(tx, "sweep", NOW)
    done = []

    async def worker(at: datetime) -> None:
        async with db.transaction() as tx:
            if await periodic_jobs.due(tx, "sweep", at):
                done.append(at)
                await asyncio.sleep(0.05)
                await periodic_jobs.again(tx, "sweep", at + timedelta(minutes=1))

    await asyncio.gather(*(worker(NOW) for _ in range(4)))
    assert done == [NOW]
    await worker(NOW + SECOND)
    await worker(NOW + timedelta(minutes=1))
    assert done == [NOW, NOW + timedelta(minutes=1)]


async def test_a_chore_does_not_wait_for_a_clock_that_went_back(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        assert await periodic_jobs.due(tx, "sweep", NOW)
        await periodic_jobs.again(tx, "sweep", NOW + timedelta(minutes=1))
        assert not await periodic_jobs.due(tx, "sweep", NOW - timedelta(minutes=30))
        assert await periodic_jobs.due(tx, "sweep", NOW - timedelta(hours=2))
