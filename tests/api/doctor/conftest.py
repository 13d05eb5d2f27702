"""A Temporal server for the tests of the doctor, and an installation whose workers they run themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bench.installation.one_process import Installation, installation_on
from tests.api.doctor.doctor_calls import SLEEPY
from tests.conftest import DevServer
from tests.end_to_end.conftest import MAIL
from tests.support.sandbox import Sandbox
from tests.support.servers import servers_of
from tests.support.shared_temporal import SharedTemporal


@pytest.fixture(scope="package")
def temporal(shared_temporal: SharedTemporal) -> DevServer:
    """A namespace without the runs of other tests: their enrollments are in other databases."""
    return DevServer.on(shared_temporal)


@pytest.fixture
async def installation(postgres_url: str, temporal: DevServer, sandbox: Sandbox) -> AsyncIterator[Installation]:
    """The API alone; tests run workers and relays beside it as they need them."""
    servers = servers_of(postgres_url, temporal, sandbox)
    async with installation_on(servers, worker=False, provider_timeout=1) as opened:
        await opened.publish("hello", MAIL, "templates")
        await opened.publish("sleepy", SLEEPY)
        yield opened
        async for run in opened.temporal.list_workflows("ExecutionStatus = 'Running'"):
            await opened.temporal.get_workflow_handle(run.id).terminate()
