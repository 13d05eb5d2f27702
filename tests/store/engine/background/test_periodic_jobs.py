"""A job that is due is done by one worker at a time, and then not before its time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from store.engine.background import periodic_jobs
from store.engine.database import Database
from tests.store.sending.policy.breaker_calls import SECOND
from tests.store.store_calls import NOW, StoreCalls


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


async def test_a_chore_does_not_wait_for_a_clock_that_went_back(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        assert await periodic_jobs.due(tx, "sweep", NOW)
        await periodic_jobs.again(tx, "sweep", NOW + timedelta(minutes=1))
        assert not await periodic_jobs.due(tx, "sweep", NOW - timedelta(minutes=30))
        assert await periodic_jobs.due(tx, "sweep", NOW - timedelta(hours=2))
