"""One house of processes for all tests that kill them: to start it takes longer than most of them."""

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
    """A house that runs, and how to speak to it."""

    house: FaultyHouse
    stand: Stand


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """A house with one worker. A test may leave parts of it down: `FaultyHouse.all_up` brings them back."""
    house = FaultyHouse(tmp_path_factory.mktemp("house"), workers=1)
    async with house.open() as stand:
        await prepare(stand)
        yield Home(house, stand)
