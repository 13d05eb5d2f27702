"""Whoever races, and whatever opens and resumes: what is held goes exactly once, at a bounded rate."""

from __future__ import annotations

import asyncio
import heapq
import random
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.engine.database import Database
from store.engine.ids import new_id
from store.sending.policy import breakers
from store.sending.policy.breakers import Deferred, Hold, of_track
from tests.store.sending.policy.breaker_calls import (
    EMAIL,
    SECOND,
    WELCOMES,
    most_within,
    resume,
    tend,
    told,
    trip,
    turn,
)
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls


async def test_workers_that_race_get_no_more_than_the_rate(store: StoreCalls) -> None:
    await trip(store, EMAIL)
    await trip(store, WELCOMES)
    await resume(store, EMAIL, 4)
    await resume(store, WELCOMES, 3)
    url = store.db.engine.url.render_as_string(hide_password=False)
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
    store: StoreCalls, seed: int, acts: list[tuple[int, str, str]]
) -> None:
    """A simulated clock with the real tables: all that the ledger stores about a message is in its row."""
    chance = random.Random(seed)
    await store.rows("DELETE FROM breaker RETURNING 1")
    runs = await _runs(store)
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
            await tend(store, at)
            if word == "resume":
                rate = chance.choice([0.01, 1, 50])
                if await resume(store, scope, rate, at=at):
                    rates[scope], went[scope] = rate, []
            elif await trip(store, scope, word, at=at, until=at + timedelta(hours=1) if word == "provider" else None):  # type: ignore[arg-type]
                rates.pop(scope, None)
            continue
        late = at + chance.random() * SECOND
        run, track = runs[number % 2], ("welcome", "trial")[number % 2]
        async with store.db.transaction() as tx:
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
    await tend(store, end)
    await tend(store, end + SECOND)
    async with store.db.transaction() as tx:
        assert {b.state for b in await breakers.all_known(tx)} <= {"closed"}


async def _runs(store: StoreCalls) -> list[str]:
    found = await store.rows("SELECT id FROM enrollment ORDER BY id")
    if not found:
        await store.publish(WELCOME, TRIAL)
        await store.contact("ann")
        return [(await store.enrolled("welcome")).id, (await store.enrolled("trial")).id]
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
