"""What every worker does for handoffs: those that are due and whose run has ended expire."""

from __future__ import annotations

import asyncio
from typing import Any

from api.audience.handoff_upkeep import HandoffUpkeep
from tests.store.people.handoffs.handoff_calls import hand_over, leads
from tests.store.store_calls import StoreCalls


async def test_a_due_handoff_of_an_ended_run_expires_once_though_several_workers_look(db: Any) -> None:
    store = StoreCalls(db)
    run = await leads(store)
    await hand_over(store, run)
    await store.close(run.id)
    found = await asyncio.gather(*(HandoffUpkeep(db).expire() for _ in range(3)))
    assert any(found)
    assert not await HandoffUpkeep(db).expire()
    assert await store.rows("SELECT status, answered_by FROM handoff") == [("expired", "run")]
    assert await store.rows("SELECT name FROM event") == [("handoff.expired",)]


async def test_it_works_while_it_is_open(db: Any) -> None:
    store = StoreCalls(db)
    run = await leads(store)
    await hand_over(store, run)
    await store.close(run.id)
    async with HandoffUpkeep(db), asyncio.timeout(10):
        while await store.rows("SELECT 1 FROM handoff WHERE status = 'waiting'"):
            await asyncio.sleep(0.05)
