"""An accepted event is never lost and never applied twice (law 2), on a real Temporal server that stops and starts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from psycopg import OperationalError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter

from api.relay.outbox_relay import Relay
from infra.launch.temporal import Temporal
from store.engine.database import Database
from store.people import contacts, erasure
from store.runs.enrollments import enrollments
from store.runs.enrollments.enrolling import Enrol, enroll_many
from store.runs.outbox import outbox
from tests.api.relay.relay_calls import PATIENT, drops, settled, signals
from tests.conftest import DevServer
from tests.support.enrolling import accept_event, enroll, publish, upsert_contact
from tests.workflows.scripted import Script, started


async def test_an_enrolment_becomes_a_run_that_names_itself(database: Database, dev_server: DevServer) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "named"))
    await upsert_contact(database, "c-1")
    enrolled = await enroll(database, track, "c-1")
    async with Relay(database, client):
        await settled(database)
    described = await client.get_workflow_handle("nurture/named/c-1").describe()
    assert described.status == WorkflowExecutionStatus.RUNNING
    assert {pair.key.name: pair.value for pair in described.typed_search_attributes} == {
        "Track": "named",
        "TrackVersion": 1,
        "State": "running",
    }
    assert enrolled.enrollment is not None
    async with database.transaction() as tx:
        row = await enrollments.get(tx, enrolled.enrollment.id)
    assert row is not None
    assert row.started_at is not None


async def test_a_hundred_events_accepted_while_temporal_is_down_all_arrive_in_order_and_count_once(
    database: Database, temporal: Temporal
) -> None:
    track = await publish(database, PATIENT)
    people = [f"c-{number}" for number in range(10)]
    client = await Client.connect(temporal.start(), data_converter=pydantic_data_converter)
    async with Relay(database, client):
        for person in people:
            await upsert_contact(database, person)
            await enroll(database, track, person)
        await settled(database)
        temporal.stop()
        for number in range(10):
            for person in people:
                accepted = await accept_event(database, person, "said", f"{person}-{number}")
                assert accepted.matched == 1
        await asyncio.sleep(2)
        async with database.transaction() as tx:
            assert (await outbox.backlog(tx)).waiting == 100
        temporal.start()
        await settled(database)
    async with AsyncExitStack() as stack:
        await started(stack, client, Script(), [])
        for person in people:
            run = client.get_workflow_handle(f"nurture/patient/{person}")
            told = [signal.event_id for signal in await signals(client, run.id)]
            assert list(dict.fromkeys(told)) == [f"{person}-{number}" for number in range(10)]
            # a call that timed out may have arrived: then its repeat counts as a duplicate
            dropped_signals = (await run.query("journey")).get("dropped", {})
            assert dropped_signals.get("duplicate", 0) == len(told) - 10


async def test_what_was_delivered_but_not_written_down_is_delivered_again_and_applied_once(
    database: Database, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "twice"))
    await upsert_contact(database, "c-1")
    await enroll(database, track, "c-1")
    async with AsyncExitStack() as stack:
        await started(stack, client, Script(), [])
        async with Relay(database, client):
            await settled(database)
            look = outbox.pending
            lost: list[int] = []

            async def lose_once(
                connection: AsyncConnection, limit: int, *, delivered: Sequence[int] = (), **more: Any
            ) -> outbox.Pending:
                if delivered and not lost:
                    lost.extend(delivered)
                    raise OperationalError("the connection broke before the commit")
                return await look(connection, limit, delivered=delivered, **more)

            monkeypatch.setattr(outbox, "pending", lose_once)
            await accept_event(database, "c-1", "said", "e-1")
            await settled(database)
        run = client.get_workflow_handle("nurture/twice/c-1")
        assert len(lost) == 1
        assert len(await signals(client, run.id)) == 2
        assert (await run.query("journey"))["dropped"] == {"duplicate": 1}
        await run.terminate()


async def test_an_event_for_a_run_that_is_over_is_dropped_and_counted(
    database: Database, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "over"))
    await upsert_contact(database, "c-1")
    await enroll(database, track, "c-1")
    async with Relay(database, client):
        await settled(database)
        await client.get_workflow_handle("nurture/over/c-1").terminate()
        await accept_event(database, "c-1", "said", "e-1")
        await settled(database)
    assert await drops(database) == {"late": 1}


async def test_the_next_enrolment_waits_until_the_previous_run_has_closed(
    database: Database, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "again"))
    await upsert_contact(database, "c-1")
    first = await enroll(database, track, "c-1")
    assert first.enrollment is not None
    async with Relay(database, client):
        await settled(database)
        async with database.transaction() as tx:
            await enrollments.close(tx, first.enrollment.id, "completed", "all steps done")
        second = await enroll(database, track, "c-1")
        assert second.outcome == "created"
        await asyncio.sleep(1)
        run = client.get_workflow_handle("nurture/again/c-1")
        before = (await run.describe()).run_id
        await run.terminate()
        await settled(database)
        assert (await run.describe()).run_id != before
        await run.terminate()


async def test_an_erased_contact_whose_run_never_started_is_ended_at_once(
    database: Database, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "erased"))
    await upsert_contact(database, "c-1")
    await enroll(database, track, "c-1")
    async with database.transaction() as tx:
        await erasure.erase(tx, "c-1")
    async with AsyncExitStack() as stack:
        await started(stack, client, Script(), [])
        async with Relay(database, client):
            await settled(database)
        result = await client.get_workflow_handle("nurture/erased/c-1").result()
    assert result["reason"] == "erased"


@pytest.mark.parametrize("bulk", [False, True], ids=["each by itself", "a batch"])
async def test_an_event_does_not_wait_behind_a_flood_of_starts(
    database: Database, temporal: Temporal, bulk: bool
) -> None:
    """Signals to live runs are delivered during the flood, together with a start that they would overtake."""
    client = await Client.connect(temporal.start(), data_converter=pydantic_data_converter)
    track = await publish(database, PATIENT.replace("patient", "flood"))
    people = [f"c-{number}" for number in range(300)]
    async with database.transaction() as tx:
        await contacts.upsert_many(tx, [(who, {"timezone": "Europe/Berlin"}) for who in people])
    await enroll(database, track, people[0])
    async with Relay(database, client):
        await settled(database)
        async with database.transaction() as tx:
            await enroll_many(tx, [Enrol(track, who) for who in people[1:]], bulk=bulk)
        await asyncio.sleep(0.1)
        for who in (people[0], people[-1]):
            await accept_event(database, who, "said", f"e-{who}")
        await settled(database)
    async with database.transaction() as tx:
        rows = (await tx.execute(text("SELECT kind, delivered_at FROM outbox"))).all()
    starts = [row.delivered_at for row in rows if row.kind == "start"]
    told = [row.delivered_at for row in rows if row.kind == "event"]
    assert len(told) == 2
    assert sum(at > max(told) for at in starts) > 200
    assert len(await signals(client, f"nurture/flood/{people[-1]}")) == 1
