"""The worker process: it serves every queue, stops when asked, and moves runs to a newer build."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from activities.registry import build_activities
from bench.stand import Servers, local_settings
from settings import Settings
from store.database import Database
from tests.conftest import DevServer
from tests.support.sandbox import Sandbox
from tests.workflows.scripted import start
from tracks.program import Wait, WaitFor
from tracks.run import EventSignal, Journey
from worker import build_workers, run


@pytest.fixture
def settings(postgres_url: str, dev_server: DevServer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TEMPORAL_ADDRESS", dev_server.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return local_settings(Servers(postgres_url, dev_server.address, sandbox.url, sandbox.callback_port))


async def test_it_runs_until_it_is_told_to_stop_and_leaves_nothing_behind(settings: Settings) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(run(settings, stop))
    await asyncio.sleep(1)
    assert not running.done()
    before = asyncio.all_tasks()
    stop.set()
    async with asyncio.timeout(10):
        await running
    assert asyncio.all_tasks() < before


@asynccontextmanager
async def built(client: Client, settings: Settings, build_id: str) -> AsyncIterator[None]:
    """Workers of one build, made the current version of the deployment."""
    settings = settings.model_copy(update={"build_id": build_id, "deployment_name": "nurture-test"})
    database = Database(settings.database_url.get_secret_value(), 2)
    activities = build_activities(settings, database)
    workers = build_workers(client, activities, settings)
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name="nurture-test",
            build_id=build_id,
            ignore_missing_task_queues=True,
        )
        async with asyncio.timeout(30):
            while True:
                try:
                    await client.workflow_service.set_worker_deployment_current_version(request)
                    break
                except RPCError:  # the server has not heard of the version yet
                    await asyncio.sleep(0.2)
        yield
    finally:
        for worker in workers:
            await worker.shutdown()
        await asyncio.gather(*tasks)
        await activities.close()
        await database.close()


async def build_of(client: Client, workflow_id: str) -> str:
    described = (await client.get_workflow_handle(workflow_id).describe()).raw_description
    return described.workflow_execution_info.versioning_info.deployment_version.build_id


async def waiting_at(client: Client, workflow_id: str, step: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                journey = await client.get_workflow_handle(workflow_id).query("journey", result_type=Journey)
                if journey.step == step and journey.state == "waiting":
                    return
            except RPCError:
                pass
            await asyncio.sleep(0.1)


@pytest.mark.timeout(120)
async def test_a_run_is_pinned_to_its_build_and_moves_on_at_the_next_step(
    settings: Settings, dev_server: DevServer
) -> None:
    client = await dev_server.connect()
    code = [
        WaitFor(step="first", event="said", seconds=86400, since="enrollment", timeout=1),
        Wait(step="second", seconds=86400),
    ]
    async with built(client, settings, "1.0"):
        handle = await start(client, code)
        await waiting_at(client, handle.id, "first")
        assert await build_of(client, handle.id) == "1.0"
        async with built(client, settings, "2.0"):
            said = EventSignal(event_id="e-1", name="said", at=datetime.now(UTC), matches=("step:first",))
            await handle.signal("event", said)
            await waiting_at(client, handle.id, "second")
            assert await build_of(client, handle.id) == "2.0"
            assert (await handle.describe()).run_id != handle.first_execution_run_id
            await client.get_workflow_handle(handle.id).terminate()
