"""The relay goes on: after refusals of Temporal, after another relay, after a broken connection."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from api.relay.outbox_relay import Relay, pause_before
from store.engine.database import Database
from store.runs.outbox import outbox
from tests.api.relay.relay_calls import PATIENT, drops, settled, signals
from tests.conftest import DevServer
from tests.support.enrolling import accept_event, enroll, publish, upsert_contact


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


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "UNIMPLEMENTED"])
async def test_what_temporal_refuses_waits_until_it_is_allowed_again(
    database: Database, dev_server: DevServer, status: str
) -> None:
    guard = Guard(RPCStatusCode[status])
    client = Client(**(await dev_server.connect()).config() | {"interceptors": [guard]})
    name = f"refused-{status.lower().replace('_', '-')}"
    track = await publish(database, PATIENT.replace("patient", name))
    await upsert_contact(database, "c-1")
    async with Relay(database, client):
        await enroll(database, track, "c-1")
        await accept_event(database, "c-1", "said", "e-1")
        await guard.asked_again.wait()
        async with database.transaction() as tx:
            assert (await outbox.backlog(tx)).waiting == 2
        guard.refuses = None
        await settled(database)
    run = client.get_workflow_handle(f"nurture/{name}/c-1")
    assert [signal.event_id for signal in await signals(client, run.id)] == ["e-1"]
    assert await drops(database) == {}
    await run.terminate()


async def test_one_relay_leads_and_another_takes_over_when_it_goes(database: Database, dev_server: DevServer) -> None:
    client = await dev_server.connect()
    track = await publish(database, PATIENT.replace("patient", "lead"))
    async with AsyncExitStack() as others:
        async with Relay(database, client):
            await asyncio.sleep(0.5)
            await others.enter_async_context(Relay(database, client))
            await upsert_contact(database, "c-1")
            await enroll(database, track, "c-1")
            await settled(database)
        await upsert_contact(database, "c-2")
        await enroll(database, track, "c-2")
        await settled(database)
    for person in ("c-1", "c-2"):
        await client.get_workflow_handle(f"nurture/lead/{person}").terminate()


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
        await upsert_contact(database, "c-1")
        await enroll(database, track, "c-1")
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
