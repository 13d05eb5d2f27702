"""Imports chunk by chunk: every row once, whatever fails; erased contacts stay erased; live events go first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError

from activities.contract import ChunkCall, ImportProgress, SteerCall
from activities.imports import import_chunks
from activities.imports.import_chunks import ImportActivities
from store.engine.database import Database
from store.engine.driver_sql import DirectConnection
from store.people import erasure
from store.runs.imports import import_rows, imports
from store.runs.imports.import_rows import Problem, Raw
from store.runs.outbox import outbox
from tests.store.store_calls import rows_of
from tests.support.enrolling import enroll, publish, upsert_contact

TRACK = "track: {name}\nreentry: {reentry}\nsteps:\n  - id: rest\n    wait: 30d\n"


async def nobody_is_busy() -> str:
    return ""


async def received(
    db: Database, chunks: Sequence[Sequence[Raw]], *, track: str = "welcome", reentry: str = "never"
) -> str:
    """Make a running import of CSV rows (id, email) into a track. Returns its id."""
    await publish(db, TRACK.format(name=track, reentry=reentry))
    options = {"format": "csv", "columns": [["contact_id"], ["email"]]}
    async with db.transaction() as tx:
        job = await imports.begin(tx, track, options, per_second=100)
        assert await import_rows.receive(tx, job.id, 0, chunks)
        await imports.start(tx, job.id)
    return job.id


def people(first: int, count: int) -> list[Raw]:
    return [(n + 2, [f"user-{n}", f"u{n}@people.test"]) for n in range(first, first + count)]


async def applied(db: Database, import_id: str) -> ImportProgress:
    """Apply all chunks, one after another."""
    activities = ImportActivities(db, nobody_is_busy)
    while True:
        progress = await activities.apply_chunk(ChunkCall(import_id=import_id))
        if progress.state != "running":
            return progress


async def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    async with db.transaction() as tx:
        return [tuple(row) for row in await tx.execute(text(sql))]


async def problems(db: Database, import_id: str) -> list[Problem]:
    async with db.transaction() as tx:
        return [problem for _, problem in await import_rows.problems_after(tx, import_id)]


async def test_everybody_becomes_a_contact_with_an_enrollment_in_the_slow_lane(db: Database) -> None:
    import_id = await received(db, [people(0, 3), people(3, 2)])
    progress = await applied(db, import_id)
    assert (progress.state, progress.outcomes) == ("completed", {"enrolled": 5})
    assert await rows(db, "SELECT count(*), count(DISTINCT contact_id) FROM enrollment") == [(5, 5)]
    assert await rows(db, "SELECT kind, bulk, count(*) FROM outbox GROUP BY 1, 2") == [("start", True, 5)]
    assert await rows(db, "SELECT email FROM contact WHERE id = 'user-4'") == [("u4@people.test",)]
    assert await rows(db, "SELECT count(*) FROM import_chunk") == [(0,)]


async def test_bad_rows_are_reported_with_all_their_problems_and_counted_once(db: Database) -> None:
    bad: Raw = (9, ["user-9", "nobody@"])
    short: Raw = (10, ["user-10"])
    import_id = await received(db, [[*people(0, 1), bad, short]])
    assert (await applied(db, import_id)).outcomes == {"enrolled": 1, "bad": 2}
    assert await problems(db, import_id) == [
        Problem(9, "bad", "There must be something after the @-sign.", "email", "user-9"),
        Problem(10, "bad", "has 1 values where the header has 2"),
    ]


async def test_a_contact_twice_in_a_file_is_enrolled_once_and_the_later_row_counts(db: Database) -> None:
    again: Raw = (7, ["user-0", "new@people.test"])
    import_id = await received(db, [[*people(0, 1), again]])
    assert (await applied(db, import_id)).outcomes == {"enrolled": 1, "existing": 1}
    assert await rows(db, "SELECT email FROM contact") == [("new@people.test",)]


async def test_whom_the_reentry_rule_refuses_is_told_apart(db: Database) -> None:
    import_id = await received(db, [people(0, 2)])
    await upsert_contact(db, "user-0")
    await enroll(db, "welcome", "user-0")
    await rows(db, "UPDATE enrollment SET ended_at = now() RETURNING id")
    assert (await applied(db, import_id)).outcomes == {"enrolled": 1, "refused": 1}
    [problem] = await problems(db, import_id)
    assert (problem.line, problem.kind, problem.contact_id) == (2, "refused", "user-0")


async def test_a_track_with_keys_refuses_rows_without_one(db: Database) -> None:
    import_id = await received(db, [people(0, 1)], reentry="{per: cart_id}")
    assert (await applied(db, import_id)).outcomes == {"bad": 1}
    assert [(problem.kind, problem.field) for problem in await problems(db, import_id)] == [("bad", "key")]


@pytest.mark.parametrize("known", [True, False], ids=["a known contact", "somebody only the file knows"])
async def test_whoever_is_erased_while_their_row_waits_stays_erased(db: Database, known: bool) -> None:
    if known:
        await upsert_contact(db, "user-0")
    import_id = await received(db, [people(0, 2)])
    async with db.transaction() as tx:
        await erasure.erase(tx, "user-0")
    assert (await applied(db, import_id)).outcomes == {"enrolled": 1, "erased": 1}
    assert await rows(db, "SELECT id FROM contact") == [("user-1",)]
    assert [problem.kind for problem in await problems(db, import_id)] == ["erased"]


async def test_the_rows_of_an_erased_person_are_emptied_while_they_wait(db: Database) -> None:
    """In CSV and in JSON Lines, in every import; rows of other contacts stay, also if their ids are similar."""
    table: list[Raw] = [
        (1, ["u-1", "zeb@quagmire.test"]),
        (2, [" u-1 ", "zeb2@quagmire.test"]),
        (3, ["u-11", "o@p.test"]),
    ]
    lines: list[Raw] = [
        (1, '{"contact_id": "u-1", "attributes": {"name": "Zebulon"}}'),
        (2, '{"contact_id": "u-2", "attributes": {"friend": "u-1"}}'),
        (3, '{"contact_id": "u-1", "name": "Zebulon"'),
    ]
    first, second = await received(db, [table]), await received(db, [lines])
    async with db.transaction() as tx:
        await erasure.erase(tx, "u-1")
    kept = "".join(str(row[0]) for row in await rows(db, "SELECT rows FROM import_chunk ORDER BY import_id"))
    assert not [word for word in ("zeb", "Zebulon") if word in kept]
    assert all(word in kept for word in ("o@p.test", "friend"))
    assert (await applied(db, first)).outcomes == {"enrolled": 1, "erased": 2}
    assert (await applied(db, second)).outcomes == {"enrolled": 1, "erased": 1, "bad": 1}


async def test_an_erasure_of_before_the_upload_does_not_stand_in_the_way(db: Database) -> None:
    await upsert_contact(db, "user-0")
    async with db.transaction() as tx:
        await erasure.erase(tx, "user-0")
    import_id = await received(db, [people(0, 1)])
    assert (await applied(db, import_id)).outcomes == {"enrolled": 1}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_dies_amid_a_chunk_everybody_is_enrolled_exactly_once(
    db: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Every transaction may break at any statement, or the answer to its commit may get lost."""
    import_id = await received(db, [people(n * 10, 10) for n in range(5)])
    chance, execute = random.Random(seed), DirectConnection.execute
    deaths = 0

    async def fragile(self: DirectConnection, *args: object, **kwargs: object) -> object:
        nonlocal deaths
        if chance.random() < 0.08:
            deaths += 1
            raise OperationalError("killed", None, Exception())
        return await execute(self, *args, **kwargs)

    monkeypatch.setattr(DirectConnection, "execute", fragile)
    activities = ImportActivities(db, nobody_is_busy)
    state = "running"
    async with asyncio.timeout(60):
        while state == "running":
            try:
                state = (await activities.apply_chunk(ChunkCall(import_id=import_id))).state
                if chance.random() < 0.3 and state == "running":
                    await activities.apply_chunk(ChunkCall(import_id=import_id))  # its answer gets lost
            except ApplicationError as error:  # as Temporal does: again
                if error.type != "OperationalError":
                    raise
    monkeypatch.undo()
    assert deaths
    assert await rows(db, "SELECT count(*), count(DISTINCT contact_id) FROM enrollment") == [(50, 50)]
    async with db.transaction() as tx:
        job = await imports.get(tx, import_id)
    assert job is not None
    assert (job.state, job.outcomes, job.done) == ("completed", {"enrolled": 50}, 50)


async def test_two_workers_at_the_same_chunk_apply_it_once(db: Database) -> None:
    import_id = await received(db, [people(0, 20), people(20, 20)])
    activities = ImportActivities(db, nobody_is_busy)
    while True:
        both = await asyncio.gather(*(activities.apply_chunk(ChunkCall(import_id=import_id)) for _ in range(2)))
        if any(one.state == "completed" for one in both):
            break
    async with db.transaction() as tx:
        job = await imports.get(tx, import_id)
    assert job is not None and job.outcomes == {"enrolled": 40}


async def test_a_row_that_the_database_refuses_costs_itself_only(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("ALTER TABLE contact ADD CONSTRAINT odd CHECK (email <> 'u1@people.test')"))
    import_id = await received(db, [people(0, 3)])
    assert (await applied(db, import_id)).outcomes == {"enrolled": 2, "bad": 1}
    assert [(one.line, one.reason) for one in await problems(db, import_id)] == [(3, "cannot be stored")]


async def test_a_paused_import_applies_nothing_and_goes_on_where_it_was(db: Database) -> None:
    import_id = await received(db, [people(0, 2), people(2, 2)])
    activities, call = ImportActivities(db, nobody_is_busy), ChunkCall(import_id=import_id)
    assert (await activities.apply_chunk(call)).applied == 2
    paused = await activities.steer_import(SteerCall(import_id=import_id, word="pause"))
    assert paused.state == "paused"
    assert await activities.apply_chunk(call) == paused.model_copy(update={"applied": 0})
    assert (await activities.steer_import(SteerCall(import_id=import_id, word="resume"))).state == "running"
    assert (await applied(db, import_id)).outcomes == {"enrolled": 4}


async def test_cancelling_deletes_the_rows_that_wait_and_keeps_who_is_enrolled(db: Database) -> None:
    import_id = await received(db, [people(0, 2), people(2, 2)])
    activities = ImportActivities(db, nobody_is_busy)
    await activities.apply_chunk(ChunkCall(import_id=import_id))
    assert (await activities.steer_import(SteerCall(import_id=import_id, word="cancel"))).state == "cancelled"
    assert (await applied(db, import_id)).outcomes == {"enrolled": 2}
    assert await rows(db, "SELECT count(*) FROM import_chunk") == [(0,)]
    assert (await activities.steer_import(SteerCall(import_id=import_id, word="resume"))).state == "cancelled"


async def test_it_gives_way_while_its_deliveries_wait_or_a_queue_is_behind(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_chunks, "PATIENCE", 0.02)
    monkeypatch.setattr(import_chunks, "LOOK", 0.01)
    monkeypatch.setattr(import_chunks, "MOST_WAITING", 2)
    import_id = await received(db, [people(0, 2), people(2, 2), people(4, 2)])
    busy = ""

    async def is_busy() -> str:
        return busy

    activities, call = ImportActivities(db, is_busy), ChunkCall(import_id=import_id)
    assert (await activities.apply_chunk(call)).applied == 2
    held = await activities.apply_chunk(call)
    assert (held.applied, held.held) == (0, "outbox")
    async with db.transaction() as tx:
        await outbox.delivered(tx, [row.id for row in rows_of(await outbox.pending(tx))])
    busy = "perennial-email"
    assert (await activities.apply_chunk(call)).held == "perennial-email"
    assert await rows(db, "SELECT held FROM import_job") == [("perennial-email",)]
    busy = ""
    assert (await activities.apply_chunk(call)).applied == 2
    assert await rows(db, "SELECT held FROM import_job") == [("",)]
