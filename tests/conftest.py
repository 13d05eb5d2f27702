"""Real parts for every test: PostgreSQL, both Temporal servers, the provider sandbox.

Each starts only if a test asks for it.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import httpx._transports.default as httpx_transports
import hypothesis
import pytest
import pytest_asyncio
from hypothesis.internal import charmap
from hypothesis.internal.intervalsets import IntervalSet
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import _worker
from typer import testing as typer_testing
from typer.main import get_command

from bench.installation.fork_server import ForkServer
from bench.time_skipping import time_skipping
from tests.parallel import plugin
from tests.parallel.child import PROCESS
from tests.support.databases import TestServer
from tests.support.forked import fork_server
from tests.support.sandbox import Sandbox, start_sandbox
from tests.support.shared_temporal import SharedTemporal

pytest_addoption = plugin.pytest_addoption
pytest_configure = plugin.pytest_configure

# By default a worker or replayer without a build id reads the code of every module to make one: 2.6 s of CPU in each
# test process (measured).
_worker._default_build_id = "tests"
# Every httpx client and every sender of webhooks reads the trusted certificates: 40 ms of CPU, in more than a thousand
# tests.
vars(httpx)["create_ssl_context"] = vars(httpx_transports)["create_ssl_context"] = cache(httpx.create_ssl_context)
# Typer builds the tree of commands anew for each call: 90 ms of CPU, in some five hundred tests.
vars(typer_testing)["_get_command"] = cache(get_command)

# Hypothesis encodes every character to learn what UTF-8 can hold: 2 s of CPU in each process of a clean checkout.
# All but the surrogates (The Unicode Standard, section 3.9, D76), and each is decoded to itself.
_UTF_8 = (IntervalSet(((0, 0xD7FF), (0xE000, sys.maxunicode))), IntervalSet(()))
_of_codec = charmap.intervals_from_codec
vars(charmap)["intervals_from_codec"] = lambda codec: _UTF_8 if codec == "utf-8" else _of_codec(codec)

# No deadline: the time of an example depends more on the machine than on the code.
hypothesis.settings.register_profile("perennial", deadline=None)
hypothesis.settings.load_profile("perennial")


def pytest_collection_finish() -> None:
    """Exclude imported modules and collected tests from garbage collection: a full collection over them takes 0.4 s."""
    gc.freeze()


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if PROCESS in os.environ else base


@pytest.fixture(scope="session")
def postgres_server(session_folder: Path) -> Iterator[TestServer]:
    """The session's PostgreSQL server, which makes databases, migrated or empty."""
    server = TestServer(session_folder / "postgres")
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: TestServer) -> Iterator[str]:
    """The address of a fresh migrated database of this test's own."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: TestServer) -> Iterator[str]:
    """The address of a fresh database without any table."""
    with postgres_server.fresh_database(migrated=False) as url:
        yield url


@pytest_asyncio.fixture
async def temporal_env() -> AsyncIterator[WorkflowEnvironment]:
    """A time-skipping Temporal of this test's own: one stuck activity would stop the clock for all others."""
    async with time_skipping() as env:
        yield env


@dataclass
class DevServer:
    """A namespace of the real dev server. Each test connects a client in its own event loop."""

    address: str
    ui_url: str
    namespace: str

    @classmethod
    def on(cls, server: SharedTemporal) -> DevServer:
        """A namespace of it that nobody has used."""
        return cls(server.address, server.ui_url, server.own_namespace())

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point Temporal's clients at it."""
        return {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_NAMESPACE": self.namespace}

    async def connect(self) -> Client:
        return await Client.connect(self.address, namespace=self.namespace, data_converter=pydantic_data_converter)


@pytest.fixture(scope="session")
def shared_temporal(session_folder: Path) -> Iterator[SharedTemporal]:
    """The session's real Temporal dev server, with UI and the search attributes."""
    server = SharedTemporal(session_folder / "temporal")
    yield server
    server.close()


@pytest.fixture(scope="session")
def dev_server(shared_temporal: SharedTemporal) -> DevServer:
    """A namespace of this test process on the session's dev server."""
    return DevServer.on(shared_temporal)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running provider sandbox, one per test process. Tests use different addresses to find their own messages."""
    running = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.child.stop()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported Perennial, to fork others from; one per test process."""
    with fork_server(tmp_path_factory.mktemp("forks")) as server:
        yield server


@pytest.fixture(autouse=True)
def no_address_secret() -> Iterator[None]:
    """Reset the address secret: a command that a test ran in this process may have set it."""
    yield
    if "store.engine.hash_secret" in sys.modules:
        sys.modules["store.engine.hash_secret"].use_secret("")


def pytest_sessionfinish() -> None:
    """Wait for Temporal's runtime threads. Otherwise the interpreter can crash at exit (sdk-python #300)."""
    if "temporalio" in sys.modules:
        time.sleep(0.3)
