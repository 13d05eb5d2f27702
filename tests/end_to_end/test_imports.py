"""Imports on a real Temporal server: they resume, live events go first, and the history has no personal data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities import contract
from activities.imports import queue_backlog
from activities.imports.import_chunks import ImportActivities
from api.relay.delivery import Delivered
from api.relay.import_commands import ImportCommands
from api.relay.outbox_relay import BULK_IN_FLIGHT, IN_FLIGHT, Relay
from store.engine.database import Database
from store.people import contacts
from store.runs.enrollments import enrolling
from store.runs.enrollments.enrolling import Enrol
from store.runs.imports import imports
from store.runs.outbox import outbox
from tests.activities.imports.test_import_chunks import TRACK, nobody_is_busy, people, received, rows
from tests.conftest import DevServer
from tests.support.enrolling import accept_event, enroll, publish, upsert_contact
from tracks.runs.import_interface import workflow_id
from workflows.determinism_sandbox import runner
from workflows.import_contacts import ImportContacts


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=8)
    yield database
    await database.close()


def importer(client: Client, db: Database) -> Worker:
    activities = ImportActivities(db, nobody_is_busy)
    return Worker(
        client,
        task_queue=contract.QUEUE_IMPORTS,
        build_id="test",
        workflows=[ImportContacts],
        workflow_runner=runner(),
        activities=[activities.apply_chunk, activities.steer_import],
    )


async def until(db: Database, sql: str, true: Callable[[int], bool], seconds: float = 30) -> None:
    """Wait until a count is as expected."""
    async with asyncio.timeout(seconds):
        while not true(int(str((await rows(db, sql))[0][0]))):
            await asyncio.sleep(0.02)


async def test_an_import_goes_on_where_its_worker_died_and_its_history_names_nobody(
    db: Database, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    import_id = await received(db, [people(n * 10, 10) for n in range(8)])
    teller = ImportCommands(db, client)
    async with importer(client, db):
        assert await teller.tell() == 1
        assert await teller.tell() == 0
        await until(db, "SELECT next_chunk FROM import_job", lambda done: done >= 2)
    [(before,)] = await rows(db, "SELECT next_chunk FROM import_job")
    assert before != 8
    async with db.transaction() as tx:
        await imports.steer(tx, import_id, "pause")
    await teller.tell()
    async with importer(client, db):
        async with db.transaction() as tx:
            await imports.steer(tx, import_id, "rate", per_second=10_000)
            await imports.steer(tx, import_id, "resume")
        await teller.tell()
        handle = client.get_workflow_handle(workflow_id(import_id))
        async with asyncio.timeout(90):  # the dead worker's tasks are noticed after half a minute
            assert (await handle.result())["outcomes"] == {"enrolled": 80}
    assert await rows(db, "SELECT count(*), count(DISTINCT contact_id) FROM enrollment") == [(80, 80)]
    history = (await handle.fetch_history()).to_json()
    assert "people.test" not in history
    assert "user-" not in history


async def test_what_is_live_is_delivered_before_the_imported_that_waited_longer(
    db: Database, dev_server: DevServer
) -> None:
    """Check the order, not the time: of the waiting imported rows, only those in delivery come before it."""
    client = await dev_server.connect()
    await publish(db, TRACK.format(name="bulky", reentry="never"))
    await publish(db, TRACK.format(name="lively", reentry="never") + "goal: {event: bought}\n")
    ids = [f"user-{n}" for n in range(260)]
    async with db.transaction() as tx:
        await contacts.upsert_many(tx, [(one, {}) for one in ids])
        await enrolling.enroll_many(tx, [Enrol("bulky", one) for one in ids], bulk=True)
    await upsert_contact(db, "ada")
    await upsert_contact(db, "bob")
    await enroll(db, "lively", "ada")
    started = "SELECT count(*) FROM enrollment WHERE track = 'bulky' AND started_at IS NOT NULL"
    try:
        async with Relay(db, client):
            await until(db, started, lambda done: done >= 30)
            [(waiting,)] = await rows(db, "SELECT count(*) FROM outbox WHERE delivered_at IS NULL AND bulk")
            await enroll(db, "lively", "bob")
            await accept_event(db, "ada", "bought", "e-1")
            await until(db, "SELECT count(*) FROM outbox WHERE delivered_at IS NULL", lambda left: left == 0, 60)
    finally:
        for (name,) in await rows(db, "SELECT workflow_id FROM enrollment"):
            await client.get_workflow_handle(str(name)).terminate()
    told = "SELECT max(delivered_at) FROM outbox WHERE NOT bulk"
    [(after,)] = await rows(db, f"SELECT count(*) FROM outbox WHERE bulk AND delivered_at > ({told})")
    assert isinstance(waiting, int) and isinstance(after, int)
    assert waiting > 2 * IN_FLIGHT
    assert after >= waiting - IN_FLIGHT - BULK_IN_FLIGHT
    first = "SELECT started_at FROM enrollment WHERE contact_id = 'ada'"
    [(before,)] = await rows(db, f"SELECT count(*) FROM enrollment WHERE track = 'bulky' AND started_at < ({first})")
    assert isinstance(before, int) and before <= BULK_IN_FLIGHT


async def test_places_in_the_relay_stay_free_for_what_is_live(db: Database, dev_server: DevServer) -> None:
    """While Temporal does not answer, imported rows fill only their own places."""
    client = await dev_server.connect()
    await publish(db, TRACK.format(name="bulky", reentry="never"))
    ids = [f"user-{n}" for n in range(100)]
    async with db.transaction() as tx:
        await contacts.upsert_many(tx, [(one, {}) for one in ids])
        await enrolling.enroll_many(tx, [Enrol("bulky", one) for one in ids], bulk=True)
    relay, silent = Relay(db, client), asyncio.Event()

    async def unanswered(row: outbox.Delivery, program: object) -> Delivered:
        tried.append(row)
        await silent.wait()
        return Delivered()

    tried: list[outbox.Delivery] = []
    relay._deliver = unanswered  # type: ignore[method-assign]
    async with relay:
        async with asyncio.timeout(30):
            while len(tried) < BULK_IN_FLIGHT:
                await asyncio.sleep(0.02)
        await upsert_contact(db, "ada")
        await enroll(db, "bulky", "ada")
        async with asyncio.timeout(30):
            while not any(row.contact_id == "ada" for row in tried):
                await asyncio.sleep(0.02)
        assert sum(row.bulk for row in tried) == BULK_IN_FLIGHT
        silent.set()


async def test_a_queue_that_does_not_keep_up_is_noticed(dev_server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await dev_server.connect()
    queue = "nobody-polls-this"
    monkeypatch.setattr(queue_backlog, "_QUEUES", ((queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),))
    monkeypatch.setattr(queue_backlog, "SOME_TASKS", 2)
    assert await queue_backlog.busy_queue(client) == ""
    async with AsyncExitStack() as stack:
        for number in range(4):
            run = await client.start_workflow("Nothing", id=f"nothing-{number}", task_queue=queue)
            stack.push_async_callback(run.terminate)
        async with asyncio.timeout(60):
            while await queue_backlog.busy_queue(client) != queue:
                await asyncio.sleep(0.2)


async def test_news_that_temporal_could_not_be_told_wait(db: Database) -> None:
    """The relay's leader tries again; nothing accepted is lost while Temporal is away."""
    nowhere = await Client.connect("127.0.0.1:9", data_converter=pydantic_data_converter, lazy=True)
    import_id = await received(db, [people(0, 1)])
    assert await ImportCommands(db, nowhere).tell() == 1
    async with db.transaction() as tx:
        assert [one.id for one in await imports.untold(tx)] == [import_id]
        assert (await tx.execute(text("SELECT told FROM import_job"))).scalar_one() == 0
