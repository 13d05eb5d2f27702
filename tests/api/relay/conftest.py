"""A database, and a Temporal server to stop and start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.launch.ports import any_free
from infra.launch.temporal import Temporal
from store.engine.database import Database


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, 5)
    yield opened
    await opened.close()


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[Temporal]:
    """A server of this test's own, to stop and start."""
    server = Temporal(any_free(), log=tmp_path / "temporal.log", file=tmp_path / "temporal.db")
    yield server
    server.stop(grace=0)
