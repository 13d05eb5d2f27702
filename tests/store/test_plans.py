"""The rows that the database reads for one contact do not grow with the number of contacts, also in a new database.

A new table has no statistics, and a connection caches plans that were made while the table was nearly empty. The tests'
server never analyzes a table, so this test shows the state before the first statistics.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio

from store.engine.database import Database
from store.runs import outbox
from store.runs.events import Event
from tests.store.scene import NOW, TRIAL, Scene, rows_of
from tests.support.databases import TestServer
from tracks.model.message_rules import MessageRules
from tracks.model.sending import Lately

UNLESS = """
track: cart
entry: {event: cart.left, unless: {event: order.paid, within: 30d}}
steps:
  - id: hello
    email: {template: hello, from: 'Ada <ada@acme.test>'}
"""
SETTLED = 30
"""After so many contacts every statement has its cached plan."""
OTHERS = 120
ROWS_READ = "seq_tup_read + coalesce(idx_tup_fetch, 0)"


@pytest_asyncio.fixture
async def scene(postgres_server: TestServer) -> AsyncIterator[Scene]:
    """A new database with a single connection, so that there are no other plans and counters."""
    with postgres_server.fresh_database(unused=True) as url:
        database = Database(url, pool_size=1)
        yield Scene(database)
        await database.close()


async def test_the_rows_read_for_a_contact_are_as_many_after_many_others(scene: Scene) -> None:
    await scene.publish(TRIAL)
    for number in range(SETTLED):
        await live(scene, number)
    few = await read_for(scene, SETTLED)
    for number in range(SETTLED + 1, OTHERS):
        await live(scene, number)
    many = await read_for(scene, OTHERS)
    assert sum(many.values()) > 30, "the counters count"
    grown = {table: (few[table], rows) for table, rows in many.items() if rows > few[table] + 2}
    assert not grown


async def test_what_the_provider_reports_changes_a_message_in_place(scene: Scene) -> None:
    """Otherwise each report adds entries to eight indexes of the ledger, and eight old ones have to be vacuumed."""
    run = await scene.live()
    claim = await scene.claim(run.id)
    await scene.settle(claim, "sent", provider_id="ses-1")
    before = await counted(scene, "n_tup_hot_upd")
    for progress in ("accepted", "delayed", "delivered"):
        await scene.callback(claim, progress)
    after = await counted(scene, "n_tup_hot_upd")
    assert after["message"] - before["message"] == 3


async def read_for(scene: Scene, number: int) -> dict[str, int]:
    """The number of rows read from each table for one contact."""
    before = await counted(scene, ROWS_READ)
    await live(scene, number)
    after = await counted(scene, ROWS_READ)
    return {table: after[table] - before[table] for table in after}


async def counted(scene: Scene, what: str) -> dict[str, int]:
    """One of PostgreSQL's counters for each table."""
    await scene.rows("SELECT pg_stat_force_next_flush()")
    rows = await scene.rows(f"SELECT relname, {what} FROM pg_stat_user_tables")
    return {name: int(count) for name, count in rows}


async def live(scene: Scene, number: int) -> None:
    """Make one contact's run: started, with clicks and two delivered messages; every second run is ended."""
    who = f"user-{number}"
    await scene.contact(who)
    run = await scene.enrolled("trial", who)
    assert (await scene.enroll("trial", who)).outcome == "existing"
    await deliver(scene)
    assert (await scene.happen("email.clicked", who, f"event-{number}", step="hello")).matched == 1
    await deliver(scene)
    for step in ("hello", "thanks"):
        claim = await scene.claim(run.id, step=step)
        assert claim.decision == "granted"
        await scene.settle(claim, "sent", provider_id=f"{step}-{number}")
        await scene.callback(claim, "delivered")
    await scene.begin(run.id)
    if number % 2:
        assert await scene.close(run.id)


async def deliver(scene: Scene) -> None:
    """Mark waiting rows as delivered, as the relay does, and read again."""
    async with scene.db.statement() as connection:
        waiting = rows_of(await outbox.pending(connection, 8))
        assert len(waiting) == 1
        assert not rows_of(await outbox.pending(connection, 8, delivered=[row.id for row in waiting]))


async def test_an_unless_reads_the_events_of_its_name_and_time_alone(scene: Scene) -> None:
    """Also for a contact with many other events and with old events of the same name."""
    await scene.publish(UNLESS)
    old = [Event(f"o{n}", "ann", "order.paid", occurred_at=NOW - timedelta(days=90)) for n in range(200)]
    await scene.accept(*old, now=NOW - timedelta(days=90))
    await scene.accept(*(Event(f"v{n}", "ann", "page.viewed") for n in range(200)))
    before = await counted(scene, ROWS_READ)
    [answer] = await scene.accept(Event("e1", "ann", "cart.left"))
    assert answer.enrolled == 1
    [run] = await scene.rows("SELECT id::text AS id FROM enrollment")
    rules = MessageRules(unless=Lately(event="order.paid", within=timedelta(days=30)))
    await scene.claim(run.id, rules=rules, now=NOW)
    after = await counted(scene, ROWS_READ)
    assert after["event"] - before["event"] <= 5
