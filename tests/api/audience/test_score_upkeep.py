"""What every worker does for scores: time passes, versions are filled, and each change of a grade is told once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.sql import utc_now
from store.runs.events.events import Event
from tests.store.audience.scores.score_calls import live, publish, told, written
from tests.store.store_calls import StoreCalls

SEEN = {"id": "seen", "event": "page.viewed", "points": 30, "within": "14d"}


@pytest.fixture
def store(db: Any) -> StoreCalls:
    return StoreCalls(db)


async def test_while_it_runs_a_score_is_filled_and_a_fall_is_told_within_seconds(store: StoreCalls) -> None:
    await publish(store, written("upkeep-1", SEEN))
    at = utc_now() - timedelta(days=14) + timedelta(seconds=1)
    await store.accept(Event("v1", "ann", "page.viewed", {}, at), now=utc_now())
    async with SegmentUpkeep(store.db):
        for _ in range(100):
            if await told(store):
                break
            await asyncio.sleep(0.1)
    assert await told(store) == [("upkeep-1", "warm", "cold")]


async def test_any_number_of_processes_share_what_is_due_and_tell_each_change_once(store: StoreCalls) -> None:
    await live(store, written("upkeep-2", SEEN))
    now = utc_now()
    who = [f"c{number}" for number in range(450)]
    await store.accept(*(Event(one, one, "page.viewed", {}, now) for one in who), now=now)
    later, upkeep = now + timedelta(days=15), [SegmentUpkeep(store.db) for _ in range(4)]

    async def work(one: SegmentUpkeep) -> None:
        while await one.update_due(later):
            pass

    for _ in range(3):
        await asyncio.gather(*map(work, upkeep))
    rows = await store.rows("SELECT grade, count(*) AS n FROM score_value GROUP BY 1")
    assert [(row.grade, row.n) for row in rows] == [("cold", 450)]
    rows = await store.rows(
        "SELECT contact_id, count(*) AS n FROM event WHERE name = 'score.graded' GROUP BY 1 HAVING count(*) <> 2"
    )
    assert rows == []
