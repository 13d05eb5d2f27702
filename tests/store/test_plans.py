"""The rows that the database reads for one contact do not grow with the number of contacts, also in a new database.

A new table has no statistics, and a connection caches plans that were made while the table was nearly empty. The tests'
server never analyzes a table, so this test shows the state before the first statistics.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio

from store.engine.database import Database
from store.runs.events.events import Event
from store.runs.outbox import outbox
from tests.store.store_calls import NOW, TRIAL, StoreCalls, rows_of
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
async def store(postgres_server: TestServer) -> AsyncIterator[StoreCalls]:
    """A new database with a single connection, so that there are no other plans and counters."""
    with postgres_server.fresh_database(unused=True) as url:
        database = Database(url, pool_size=1)
        yield StoreCalls(database)
        await database.close()


async def test_the_rows_read_for_a_contact_are_as_many_after_many_others(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    for number in range(SETTLED):
        await live(store, number)
    few = await read_for(store, SETTLED)
    for number in range(SETTLED + 1, OTHERS):
        await live(store, number)
    many = await read_for(store, OTHERS)
    assert sum(many.values()) > 30, "the counters count"
    grown = {table: (few[table], rows) for table, rows in many.items() if rows > few[table] + 2}
    assert not grown


async def test_what_the_provider_reports_changes_a_message_in_place(store: StoreCalls) -> None:
    """Otherwise each report adds entries to eight indexes of the ledger, and eight old ones have to be vacuumed."""
    run = await store.live()
    claim = await store.claim(run.id)
    await store.settle(claim, "sent", provider_id="ses-1")
    before = await counted(store, "n_tup_hot_upd")
    for progress in ("accepted", "delayed", "delivered"):
        await store.callback(claim, progress)
    after = await counted(store, "n_tup_hot_upd")
    assert after["message"] - before["message"] == 3


async def read_for(store: StoreCalls, number: int) -> dict[str, int]:
    """The number of rows read from each table for one contact."""
    before = await counted(store, ROWS_READ)
    await live(store, number)
    after = await counted(store, ROWS_READ)
    return {table: after[table] - before[table] for table in after}


async def counted(store: StoreCalls, what: str) -> dict[str, int]:
    """One of PostgreSQL's counters for each table."""
    await store.rows("SELECT pg_stat_force_next_flush()")
    rows = await store.rows(f"SELECT relname, {what} FROM pg_stat_user_tables")
    return {name: int(count) for name, count in rows}


async def live(store: StoreCalls, number: int) -> None:
    """Make one contact's run: started, with clicks and two delivered messages; every second run is ended."""
    who = f"user-{number}"
    await store.contact(who)
    run = await store.enrolled("trial", who)
    assert (await store.enroll("trial", who)).outcome == "existing"
    await deliver(store)
    assert (await store.happen("email.clicked", who, f"event-{number}", step="hello")).matched == 1
    await deliver(store)
    for step in ("hello", "thanks"):
        claim = await store.claim(run.id, step=step)
        assert claim.decision == "granted"
        await store.settle(claim, "sent", provider_id=f"{step}-{number}")
        await store.callback(claim, "delivered")
    await store.begin(run.id)
    if number % 2:
        assert await store.close(run.id)


async def deliver(store: StoreCalls) -> None:
    """Mark waiting rows as delivered, as the relay does, and read again."""
    async with store.db.statement() as connection:
        waiting = rows_of(await outbox.pending(connection, 8))
        assert len(waiting) == 1
        assert not rows_of(await outbox.pending(connection, 8, delivered=[row.id for row in waiting]))


async def test_an_unless_reads_the_events_of_its_name_and_time_alone(store: StoreCalls) -> None:
    """Also for a contact with many other events and with old events of the same name."""
    await store.publish(UNLESS)
    old = [Event(f"o{n}", "ann", "order.paid", occurred_at=NOW - timedelta(days=90)) for n in range(200)]
    await store.accept(*old, now=NOW - timedelta(days=90))
    await store.accept(*(Event(f"v{n}", "ann", "page.viewed") for n in range(200)))
    before = await counted(store, ROWS_READ)
    [answer] = await store.accept(Event("e1", "ann", "cart.left"))
    assert answer.enrolled == 1
    [run] = await store.rows("SELECT id::text AS id FROM enrollment")
    rules = MessageRules(unless=Lately(event="order.paid", within=timedelta(days=30)))
    await store.claim(run.id, rules=rules, now=NOW)
    after = await counted(store, ROWS_READ)
    assert after["event"] - before["event"] <= 5
