"""Processes that keep segments are killed at any moment: members stay true, and each change is told once."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events.events import Event
from tests.store.audience.segment_calls import checked, members, publish
from tests.store.store_calls import StoreCalls

ROOT = Path(__file__).parents[2]
PEOPLE = 800
UPKEEP = """
import asyncio, sys
from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database

async def keep():
    async with SegmentUpkeep(Database(sys.argv[1], 3)):
        print("keeps", flush=True)
        await asyncio.sleep(600)

asyncio.run(keep())
"""
_FILL = text("""
    WITH people AS (
        INSERT INTO contact (id) SELECT 'c-' || n FROM generate_series(1, :people) n RETURNING id
    )
    INSERT INTO event (event_id, contact_id, name, properties, occurred_at, received_at)
    SELECT 'used-' || id, id, 'app.used', '{}', CAST(:used AS timestamptz) + random() * interval '4 seconds', :used
    FROM people
""")


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, 5)
    yield database
    await database.close()


async def start(url: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", UPKEEP, url, cwd=ROOT, stdout=pipe)
    assert process.stdout is not None and await process.stdout.readline() == b"keeps\n"
    return process


async def test_killed_processes_leave_nobody_out_and_tell_nobody_twice(db: Database, postgres_url: str) -> None:
    store, luck = StoreCalls(db), random.Random(7)
    async with db.transaction() as tx:  # everybody falls silent within the next seconds
        await tx.execute(_FILL, {"people": PEOPLE, "used": utc_now() - timedelta(days=14)})
    await publish(store, "quiet", {"did_not": "app.used", "within": "14d"}, existing="enter", now=utc_now())
    processes = [await start(postgres_url) for _ in range(2)]
    try:
        for kill in range(2):
            await asyncio.sleep(luck.uniform(0.2, 1.0))
            processes[kill % 2].kill()
            for number in luck.sample(range(1, PEOPLE + 1), 30):
                event = Event(f"again-{kill}-{number}", f"c-{number}", "app.used")
                await store.accept(event, now=utc_now())
            await processes[kill % 2].wait()
            processes[kill % 2] = await start(postgres_url)
    finally:
        for process in processes:
            process.kill()
            await process.wait()
    upkeep, end = SegmentUpkeep(db), utc_now() + timedelta(seconds=5)
    while await upkeep.fill() or await upkeep.update_due(end):
        pass
    used_again = {
        row.contact_id for row in await store.rows("SELECT contact_id FROM event WHERE event_id LIKE 'again%'")
    }
    assert set(await members(store, "quiet")) == {f"c-{n}" for n in range(1, PEOPLE + 1)} - used_again
    assert (await checked(store, "quiet", end)).differences == []
    told = await store.rows("""
        SELECT contact_id, array_agg(name ORDER BY split_part(event_id, ':', 4)::int) AS names FROM event
        WHERE name LIKE 'segment.%' GROUP BY contact_id
    """)
    for row in told:
        turns = ["segment.entered", "segment.left"] * len(row.names)
        assert row.names == turns[: len(row.names)], row
        assert (row.names[-1] == "segment.entered") == (row.contact_id not in used_again)
    assert len(told) >= PEOPLE - len(used_again)
