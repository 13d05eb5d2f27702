"""Processes that keep segments are killed at any moment: members stay true, and each change is told once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.audience.segment_upkeep import SegmentUpkeep
from bench.installation.fork_server import ForkServer
from infra.launch.process import Child
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events.events import Event
from tests.store.audience.segment_calls import checked, members, publish
from tests.store.store_calls import StoreCalls
from tests.support.forked import forked

PEOPLE = 800
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


def start(forks: ForkServer, url: str, folder: Path) -> Child:
    child = forked(forks, "segments", url, log=folder / "log", env=os.environ, main="tests.faults.segment_process")
    child.wait_ready(lambda: child.said("keeps"), 60)
    return child


async def test_killed_processes_leave_nobody_out_and_tell_nobody_twice(
    db: Database, postgres_url: str, forks: ForkServer, tmp_path: Path
) -> None:
    store, luck = StoreCalls(db), random.Random(7)
    async with db.transaction() as tx:  # everybody falls silent within the next seconds
        await tx.execute(_FILL, {"people": PEOPLE, "used": utc_now() - timedelta(days=14)})
    await publish(store, "quiet", {"did_not": "app.used", "within": "14d"}, existing="enter", now=utc_now())
    processes = [start(forks, postgres_url, tmp_path / str(number)) for number in range(2)]
    try:
        for kill in range(2):
            await asyncio.sleep(luck.uniform(0.2, 1.0))
            os.kill(processes[kill % 2].pid, signal.SIGKILL)
            for number in luck.sample(range(1, PEOPLE + 1), 30):
                event = Event(f"again-{kill}-{number}", f"c-{number}", "app.used")
                await store.accept(event, now=utc_now())
            processes[kill % 2].stop()
            processes[kill % 2] = start(forks, postgres_url, tmp_path / f"again-{kill}")
    finally:
        for process in processes:
            process.stop(0)
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
