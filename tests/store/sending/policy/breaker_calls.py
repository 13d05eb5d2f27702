"""Breakers as tests trip, resume and ask them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from store.engine.database import Database
from store.sending.policy import breakers
from store.sending.policy.breakers import LATE, Breaker, Cause, Deferred, Hold, account, of_track
from tests.store.store_calls import NOW, StoreCalls

EMAIL, WELCOMES = account("email"), of_track("welcome")
SECOND = timedelta(seconds=1)


async def trip(store: StoreCalls, scope: str, cause: Cause = "operator", *, at: datetime = NOW, **more: Any) -> bool:
    async with store.db.transaction() as tx:
        return await breakers.trip(tx, scope, cause, "because", now=at, **more)


async def resume(store: StoreCalls, scope: str, rate: float = 1, *, at: datetime = NOW, **more: Any) -> Breaker | None:
    async with store.db.transaction() as tx:
        return await breakers.resume(tx, scope, per_second=rate, now=at, **more)


async def tend(store: StoreCalls, at: datetime) -> list[tuple[str, str]]:
    async with store.db.transaction() as tx:
        return [(breaker.scope, breaker.state) for breaker in await breakers.tend(tx, per_second=1, now=at)]


async def turn(
    db: Database, at: datetime, *scopes: str, deferred: Deferred | None = None, spread: float | None = None
) -> Hold | None:
    async with db.transaction() as tx:
        return await breakers.turn(tx, scopes or (EMAIL,), at, deferred, spread=spread)


async def state(store: StoreCalls, scope: str) -> Breaker:
    async with store.db.transaction() as tx:
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
