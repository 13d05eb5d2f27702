"""A Temporal server for the tests of the doctor, and an installation whose workers they run themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bench.installation.one_process import Installation, Servers, installation_on
from infra.launch.ports import any_free
from infra.launch.temporal import Temporal
from tests.api.doctor.doctor_calls import SLEEPY
from tests.end_to_end.conftest import MAIL
from tests.support.sandbox import Sandbox


@pytest.fixture(scope="package")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Temporal]:
    """A server without the runs of other tests: their enrollments are in other databases."""
    folder = tmp_path_factory.mktemp("temporal")
    server = Temporal(any_free(), log=folder / "temporal.log", file=folder / "temporal.db")
    server.start()
    yield server
    server.stop(0)


@pytest.fixture
async def installation(postgres_url: str, temporal: Temporal, sandbox: Sandbox) -> AsyncIterator[Installation]:
    """The API alone; tests run workers and relays beside it as they need them."""
    servers = Servers(postgres_url, temporal.address, sandbox.url, sandbox.callback_port, sandbox.twilio_auth_token)
    async with installation_on(servers, worker=False, provider_timeout=1) as opened:
        await opened.publish("hello", MAIL, "templates")
        await opened.publish("sleepy", SLEEPY)
        yield opened
        async for run in opened.temporal.list_workflows("ExecutionStatus = 'Running'"):
            await opened.temporal.get_workflow_handle(run.id).terminate()
