"""Operators' commands: hold and resume breakers, and set rates on a real Temporal server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typer.testing import CliRunner, Result

from activities.providers.ports import SendingQuota
from activities.sending import queue_rates, ses_quota
from cli.main import app
from settings import get_settings
from tests.conftest import DevServer

QUEUE = "perennial-crm"
Command = Callable[..., Result]


@pytest.fixture
def perennial(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Command:
    """The command line, in this process."""
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path))

    def run(*words: str) -> Result:
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, words)
        finally:
            get_settings.cache_clear()

    return run


def test_breakers_are_held_listed_and_resumed(
    perennial: Command, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    assert perennial("breakers", "list").stdout == "No breaker ever opened.\n"
    assert "account:sms  open" in perennial("breakers", "hold", "account:sms", "--reason", "an incident").stdout
    assert perennial("breakers", "list").stdout.endswith("operator: an incident\n")
    assert "resuming at 5 a second" in perennial("breakers", "resume", "account:sms", "--per-second", "5").stdout
    for words in (
        ["resume", "account:sms"],
        ["hold", "account:fax", "--reason", "x"],
        ["hold", "account:sms", "--reason", "ann@people.test wants it"],
        ["hold", "account:sms", "--reason", "x" * 201],
        ["hold", "track:nobody", "--reason", "x"],
    ):
        refused = perennial("breakers", *words)
        assert refused.exit_code == 1 and refused.stderr


times: list[float] = []


@activity.defn(name="tick")
async def tick() -> None:
    times.append(time.monotonic())


@workflow.defn(name="Ticks")
class Ticks:
    @workflow.run
    async def run(self, count: int) -> None:
        ticks = [
            workflow.execute_activity("tick", task_queue=QUEUE, start_to_close_timeout=timedelta(seconds=20))
            for _ in range(count)
        ]
        await asyncio.gather(*ticks)


async def test_a_rate_set_while_it_runs_holds_at_once_and_a_cleared_one_no_more(
    perennial: Command, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in dev_server.environment.items():
        monkeypatch.setenv(variable, value)
    client = await dev_server.connect()

    async def limits(*words: str) -> str:
        told = await asyncio.to_thread(perennial, "limits", *words)
        assert told.exit_code == 0, told.output
        return told.stdout

    assert await limits("set", "crm", "2") == "crm      2 a second (set: operator)\n"
    runner = UnsandboxedWorkflowRunner()
    async with (
        Worker(client, task_queue="ticks", workflows=[Ticks], workflow_runner=runner),
        Worker(client, task_queue=QUEUE, activities=[tick], max_task_queue_activities_per_second=1000),
    ):
        try:
            times.clear()
            began = time.monotonic()
            running = await client.start_workflow(Ticks.run, 40, id=f"ticks-{began}", task_queue="ticks")
            await asyncio.sleep(1.5)
            so_far = len(times)
            await queue_rates.write(client, QUEUE, 500, "operator")
            await running.result()
            assert so_far <= 12, "2 a second, of which the first may have almost twice as many"
            assert time.monotonic() - began < 12, "40 at 2 a second would take 19 at the least"
        finally:
            cleared = await limits("clear", "crm")
    assert cleared == "crm      1000 a second (workers' PERENNIAL_QUEUE_RATES)\n"
    assert "crm      1000 a second" in await limits("list")
    refused = await asyncio.to_thread(perennial, "limits", "set", "fax", "1")
    assert refused.exit_code == 1 and "email, sms, crm, webhook" in refused.stderr


async def test_the_accounts_rate_is_set_unless_an_operator_set_one(dev_server: DevServer) -> None:
    client: Client = await dev_server.connect()
    queue = queue_rates.QUEUES["email"]

    async def now() -> float | None:
        return (await queue_rates.read(client, queue)).set_here

    await queue_rates.write(client, queue, None, "operator")
    try:
        await ses_quota.limit_queue(client, SendingQuota(per_second=14, per_day=50_000, sent=0, enabled=True))
        assert await now() == pytest.approx(11.2)
        await ses_quota.limit_queue(client, SendingQuota(per_second=100, per_day=50_000, sent=0, enabled=True))
        assert await now() == pytest.approx(80)
        await queue_rates.write(client, queue, 3, "operator")
        await ses_quota.limit_queue(client, SendingQuota(per_second=14, per_day=50_000, sent=0, enabled=True))
        assert await now() == 3
    finally:
        await queue_rates.write(client, queue, None, "operator")


def test_a_server_that_is_away_is_said_in_a_sentence(perennial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    refused = perennial("limits", "list")
    assert refused.exit_code == 1 and refused.stderr.startswith("Temporal does not answer")
