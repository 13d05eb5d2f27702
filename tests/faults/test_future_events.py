"""Processes that accept events of the future are killed at any moment: each event is accepted once."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from api.audience.future_events import FutureEvents
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events import future_events
from store.runs.events.events import Event
from tests.store.store_calls import StoreCalls

ROOT = Path(__file__).parents[2]
PEOPLE = 600
ACCEPTING = """
import asyncio, sys
from api.audience.future_events import FutureEvents
from store.engine.database import Database

async def accept():
    async with FutureEvents(Database(sys.argv[1], 2)):
        print("accepts", flush=True)
        await asyncio.sleep(600)

asyncio.run(accept())
"""
ONCE = "track: once\nentry: {event: renewal.near}\nreentry: always\nsteps:\n  - {id: later, wait: 1d}\n"


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, 5)
    yield database
    await database.close()


async def start(url: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ACCEPTING, url, cwd=ROOT, stdout=pipe)
    assert process.stdout is not None and await process.stdout.readline() == b"accepts\n"
    return process


async def test_killed_processes_accept_each_event_once_and_none_before_its_time(
    db: Database, postgres_url: str
) -> None:
    store, luck, begin = StoreCalls(db), random.Random(11), utc_now()
    await store.publish(ONCE)
    told = [Event(f"f{n}", f"c{n}", "renewal.near", {}, begin + timedelta(seconds=0.005 * n)) for n in range(PEOPLE)]
    async with db.transaction() as tx:
        await future_events.keep(tx, told, now=begin)
    processes = [await start(postgres_url) for _ in range(2)]
    try:
        for kill in range(3):
            await asyncio.sleep(luck.uniform(0.1, 0.6))
            processes[kill % 2].kill()
            await processes[kill % 2].wait()
            processes[kill % 2] = await start(postgres_url)
    finally:
        for process in processes:
            process.kill()
            await process.wait()
    upkeep = FutureEvents(db)
    while await upkeep.accept_due(begin + timedelta(minutes=1)):
        pass
    accepted = await store.rows("SELECT event_id, received_at - occurred_at AS after FROM event ORDER BY event_id")
    assert sorted(row.event_id for row in accepted) == sorted(event.event_id for event in told)
    assert all(row.after >= timedelta(0) for row in accepted)
    assert (await store.rows("SELECT count(*) AS runs FROM enrollment"))[0].runs == PEOPLE
    assert await store.rows("SELECT FROM future_event") == []
