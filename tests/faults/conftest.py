"""One installation for all tests that kill its processes: its start takes longer than most of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from bench.faults.load import prepare
from bench.faults.restarting_processes import FaultyHouse
from bench.installation.one_process import Stand


@dataclass
class Home:
    """A running installation, and its clients."""

    house: FaultyHouse
    stand: Stand


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """An installation with one worker. A test may leave parts down: `FaultyHouse.all_up` starts them again."""
    house = FaultyHouse(tmp_path_factory.mktemp("house"), workers=1)
    async with house.open() as stand:
        await prepare(stand)
        yield Home(house, stand)
