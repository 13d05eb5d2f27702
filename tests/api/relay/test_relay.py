"""An accepted event is never lost and never applied twice (law 2), on a real Temporal server that stops and starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from psycopg import OperationalError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from api.relay.relay import Relay, pause_before
from infra.launch.ports import any_free
from infra.launch.temporal import Temporal
from store.engine.database import Database
from store.people import erasure
from store.runs import dropped, enrollments, outbox
from store.runs.enrolling import Enrol, enroll_many
from tests.conftest import DevServer
from tests.support.enrolling import behave, enter, meet, publish
from tests.workflows.scripted import Script, started
from tracks.program.run import EventSignal

PATIENT = """
track: patient
reentry: always
goal: {event: bought}
steps:
  - id: reply
    wait_for: {event: said, within: 30d, since: enrollment, then: [], else: []}
  - id: rest
    wait: 30d
"""


class Guard(Interceptor):
    """Refuses starts and signals with one of Temporal's answers, as long as `refuses` is set."""

    def __init__(self, refuses: RPCStatusCode) -> None:
        self.refuses: RPCStatusCode | None = refuses
        self.refusals = 0
        self.asked_again = asyncio.Event()

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        guard = self

        class Checked(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
                guard.check()
                return await super().start_workflow(input)

            async def signal_workflow(self, input: SignalWorkflowInput) -> None:  # noqa: A002
                guard.check()
                await super().signal_workflow(input)

        return Checked(next)

    def check(self) -> None:
        if self.refuses is not None:
            self.refusals += 1
            if self.refusals == 2:
                self.asked_again.set()
            raise RPCError("refused", self.refuses, b"")


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, 5)
    yield opened
    await opened.close()


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[Temporal]:
    """A server of this test's own, to stop and start."""
    server = Temporal(any_free(), log=tmp_path / "temporal.log", file=tmp_path / "temporal.db")
    yield server
    server.stop(grace=0)


async def settled(database: Database, seconds: float = 30) -> None:
    """Wait until nothing waits in the outbox."""
    async with asyncio.timeout(seconds):
        while True:
            async with database.transaction() as tx:
                if (await outbox.backlog(tx)).waiting == 0:
                    return
            await asyncio.sleep(0.05)


async def signals(client: Client, workflow_id: str) -> list[EventSignal]:
    """The signals that the run got, in order."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    converter = pydantic_data_converter.payload_converter
    return [
        converter.from_payload(event.workflow_execution_signaled_event_attributes.input.payloads[0], EventSignal)
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]


async def drops(database: Database) -> dict[str, int]:
    async with database.transaction() as tx:
        return {drop.reason: drop.count for drop in await dropped.totals(tx)}


async def test_an_enrolment_becomes_a_run_that_names_itself(database: Database, dev_server: DevServer) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "named"))
    await meet(database, "c-1")
    enrolled = await enter(database, track, "c-1")
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
            await meet(database, person)
            await enter(database, track, person)
        await settled(database)
        temporal.stop()
        for number in range(10):
            for person in people:
                accepted = await behave(database, person, "said", f"{person}-{number}")
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
    await meet(database, "c-1")
    await enter(database, track, "c-1")
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
            await behave(database, "c-1", "said", "e-1")
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
    await meet(database, "c-1")
    await enter(database, track, "c-1")
    async with Relay(database, client):
        await settled(database)
        await client.get_workflow_handle("nurture/over/c-1").terminate()
        await behave(database, "c-1", "said", "e-1")
        await settled(database)
    assert await drops(database) == {"late": 1}


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "UNIMPLEMENTED"])
async def test_what_temporal_refuses_waits_until_it_is_allowed_again(
    database: Database, dev_server: DevServer, status: str
) -> None:
    guard = Guard(RPCStatusCode[status])
    client = Client(**(await dev_server.connect()).config() | {"interceptors": [guard]})
    name = f"refused-{status.lower().replace('_', '-')}"
    track = await publish(database, PATIENT.replace("patient", name))
    await meet(database, "c-1")
    async with Relay(database, client):
        await enter(database, track, "c-1")
        await behave(database, "c-1", "said", "e-1")
        await guard.asked_again.wait()
        async with database.transaction() as tx:
            assert (await outbox.backlog(tx)).waiting == 2
        guard.refuses = None
        await settled(database)
    run = client.get_workflow_handle(f"nurture/{name}/c-1")
    assert [signal.event_id for signal in await signals(client, run.id)] == ["e-1"]
    assert await drops(database) == {}
    await run.terminate()


async def test_the_next_enrolment_waits_until_the_previous_run_has_closed(
    database: Database, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "again"))
    await meet(database, "c-1")
    first = await enter(database, track, "c-1")
    assert first.enrollment is not None
    async with Relay(database, client):
        await settled(database)
        async with database.transaction() as tx:
            await enrollments.close(tx, first.enrollment.id, "completed", "all steps done")
        second = await enter(database, track, "c-1")
        assert second.outcome == "created"
        await asyncio.sleep(1)
        run = client.get_workflow_handle("nurture/again/c-1")
        before = (await run.describe()).run_id
        await run.terminate()
        await settled(database)
        assert (await run.describe()).run_id != before
        await run.terminate()


async def test_one_relay_leads_and_another_takes_over_when_it_goes(database: Database, dev_server: DevServer) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "lead"))
    async with AsyncExitStack() as others:
        async with Relay(database, client):
            await asyncio.sleep(0.5)
            await others.enter_async_context(Relay(database, client))
            await meet(database, "c-1")
            await enter(database, track, "c-1")
            await settled(database)
        await meet(database, "c-2")
        await enter(database, track, "c-2")
        await settled(database)
    for person in ("c-1", "c-2"):
        await client.get_workflow_handle(f"nurture/lead/{person}").terminate()


async def test_an_erased_contact_whose_run_never_started_is_ended_at_once(
    database: Database, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "erased"))
    await meet(database, "c-1")
    await enter(database, track, "c-1")
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
    for who in people:
        await meet(database, who)
    await enter(database, track, people[0])
    async with Relay(database, client):
        await settled(database)
        async with database.transaction() as tx:
            await enroll_many(tx, [Enrol(track, who) for who in people[1:]], bulk=bulk)
        await asyncio.sleep(0.1)
        for who in (people[0], people[-1]):
            await behave(database, who, "said", f"e-{who}")
        await settled(database)
    async with database.transaction() as tx:
        rows = (await tx.execute(text("SELECT kind, delivered_at FROM outbox"))).all()
    starts = [row.delivered_at for row in rows if row.kind == "start"]
    told = [row.delivered_at for row in rows if row.kind == "event"]
    assert len(told) == 2
    assert sum(at > max(told) for at in starts) > 200
    assert len(await signals(client, f"nurture/flood/{people[-1]}")) == 1


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause_before(attempts).total_seconds() for attempts in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.1
    assert pauses[-1] == 30


async def test_it_leads_again_though_a_loop_beside_it_outlives_its_cancellation(
    database: Database, dev_server: DevServer
) -> None:
    """A cancellation during a broken connection appears as the driver's error (seen in 1,000 kills)."""
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "again"))
    begun = 0

    async def beside() -> None:
        nonlocal begun
        begun += 1
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if begun > 1:
                    raise
                begun += 1

    async with Relay(database, client, [beside]):
        async with asyncio.timeout(10):
            while begun < 1:
                await asyncio.sleep(0.05)
        async with database.transaction() as tx:
            lead = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'perennial-relay'"
            await tx.execute(text(f"{lead} AND datname = current_database()"))
        await meet(database, "c-1")
        await enter(database, track, "c-1")
        await settled(database)
    await client.get_workflow_handle("nurture/again/c-1").terminate()


async def test_it_closes_also_when_there_is_news_at_that_moment(database: Database, dev_server: DevServer) -> None:
    client = await dev_server.connect()
    async with Relay(database, client) as relay:
        await asyncio.sleep(0.3)  # by now it waits for a notification
        assert relay._main is not None
        began = asyncio.get_running_loop().time()
        stop = asyncio.get_running_loop().call_later(5, relay._main.cancel)
        relay._wake.set()
    stop.cancel()
    assert asyncio.get_running_loop().time() - began < 5
