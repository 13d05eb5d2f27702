"""One installation for all tests that kill its processes: its start takes longer than most of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from bench.faults.load import prepare
from bench.faults.restarting_processes import RestartingProcesses
from bench.installation.one_process import Installation


@dataclass
class FaultyInstallation:
    """A running installation, and its clients."""

    processes: RestartingProcesses
    installation: Installation


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def faulty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultyInstallation]:
    """An installation with one worker. A test may leave parts down: `FaultyHouse.all_up` starts them again."""
    processes = RestartingProcesses(tmp_path_factory.mktemp("installation"), workers=1)
    async with processes.open() as installation:
        await prepare(installation)
        yield FaultyInstallation(processes, installation)
