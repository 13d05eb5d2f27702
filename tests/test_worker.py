"""The worker process: it serves every queue, stops when asked, and moves runs to a newer build."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

import worker
from activities.registry import build_activities
from bench.installation.one_process import PROJECT, Servers, environment_of, local_settings
from infra.launch.ports import any_free
from infra.launch.process import Child
from settings import Settings
from store.engine.database import Database
from tests.conftest import DevServer
from tests.support.sandbox import Sandbox
from tests.support.shared_temporal import SharedTemporal
from tests.workflows.scripted import start
from tracks.runs.program import Wait, WaitFor
from tracks.runs.run_interface import EventSignal, Journey
from worker import NoDatabaseError, build_workers, run, run_relay


@pytest.fixture
def settings(postgres_url: str, dev_server: DevServer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in dev_server.environment.items():
        monkeypatch.setenv(name, value)
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


def test_its_file_is_a_command_as_well(settings: Settings, tmp_path: Path) -> None:
    environment = os.environ | environment_of(settings)
    worker = Child("worker", [sys.executable, "worker.py"], tmp_path / "worker.log", env=environment, cwd=PROJECT)
    try:
        worker.wait_ready(lambda: worker.said("worker started"), 60)
    finally:
        worker.stop(30)
    assert worker.popen.returncode == 0
    assert worker.said("worker draining")


@pytest.fixture
async def late(settings: Settings, postgres_url: str) -> AsyncIterator[tuple[Settings, asyncio.Event]]:
    """Settings of a database that can be reached only after the event is set: until then nobody listens on its port."""
    there, port = asyncio.Event(), any_free()
    url = make_url(postgres_url)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(url.host, url.port)
        await asyncio.gather(pump(reader, forth), pump(back, writer))

    async def listen() -> None:
        await there.wait()
        async with await asyncio.start_server(joined, "127.0.0.1", port) as server:
            await server.serve_forever()

    listening = asyncio.create_task(listen())
    reached = url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    worker_port = any_free()
    yield (
        settings.model_copy(update={"database_url": SecretStr(reached), "worker_port": worker_port}),
        there,
    )
    listening.cancel()


@pytest.mark.parametrize("relay", [True, False], ids=["a worker", "a relay alone"])
async def test_it_takes_no_work_before_its_database_answers_and_says_so_on_its_port(
    late: tuple[Settings, asyncio.Event], relay: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, there = late
    stop = asyncio.Event()
    running = asyncio.create_task(run(settings, stop) if relay else run_relay(settings, stop))
    url = f"http://127.0.0.1:{settings.worker_port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as probe:

        async def answers(path: str, status: int) -> None:
            async with asyncio.timeout(30):
                while True:
                    with suppress(httpx.HTTPError):
                        if (await probe.get(path)).status_code == status:
                            return
                    await asyncio.sleep(0.1)

        await answers("/healthz", 200)
        await asyncio.sleep(2)
        await answers("/readyz", 503)
        assert "waiting for the database" in (said := capsys.readouterr().out)
        assert "started" not in said
        there.set()
        await answers("/readyz", 200)
        figures = (await probe.get("/metrics")).text
        assert "perennial_worker_ready 1.0" in figures
        assert "process_resident_memory_bytes" in figures
    stop.set()
    async with asyncio.timeout(20):
        await running


async def test_it_does_not_wait_for_ever(late: tuple[Settings, asyncio.Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "DATABASE_WAIT", 0.5)
    with pytest.raises(NoDatabaseError, match="has not answered"):
        await run(late[0], asyncio.Event())
    stop = asyncio.Event()
    stop.set()
    await run(late[0], stop)


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
        async with asyncio.timeout(100):
            queues = await known(client, build_id, {worker.task_queue for worker in workers})
            await client.workflow_service.set_worker_deployment_current_version(request)
            await routed(client, build_id, queues)
        yield
    finally:
        for worker in workers:
            await worker.shutdown()
        await asyncio.gather(*tasks)
        await activities.close()
        await database.close()


Queues = set[tuple[str, TaskQueueType.ValueType]]


async def known(client: Client, build_id: str, names: set[str]) -> Queues:
    """Wait until the server knows that a version's workers poll these queues: one that it learns of later would be
    routed later. Returns all of the version's queues.
    """
    version = WorkerDeploymentVersion(deployment_name="nurture-test", build_id=build_id)
    request = DescribeWorkerDeploymentVersionRequest(namespace=client.namespace, deployment_version=version)
    while True:
        with suppress(RPCError):  # the server does not know the version yet
            told = await client.workflow_service.describe_worker_deployment_version(request)
            queues = {(queue.name, queue.type) for queue in told.version_task_queues}
            if names <= {name for name, _ in queues}:
                return queues
        await asyncio.sleep(0.1)


async def routed(client: Client, build_id: str, queues: Queues) -> None:
    """Wait until each of these task queues knows that this version is the current one.

    They are asked themselves, because the state of the deployment may stay at "in progress" (seen on a busy machine).
    """
    for name, kind in queues:
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
        )
        while True:
            routing = (await client.workflow_service.describe_task_queue(request)).versioning_info
            if routing.current_deployment_version.build_id == build_id:
                break
            await asyncio.sleep(0.1)


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


@pytest.fixture
def own_temporal(shared_temporal: SharedTemporal) -> DevServer:
    """A namespace of this test's own: a deployment's current version routes all of a queue's runs."""
    return DevServer.on(shared_temporal)


@pytest.mark.timeout(120)
async def test_a_run_is_pinned_to_its_build_and_moves_on_at_the_next_step(
    settings: Settings, own_temporal: DevServer
) -> None:
    client = await own_temporal.connect()
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
