"""Activities against a real database and the sandbox, which the real SDKs call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from activities.registry import Activities, build_activities
from settings import Settings
from store.engine.database import Database
from tests.activities.world import Outside, World
from tests.support.sandbox import Sandbox


@pytest.fixture
def outside(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """The sandbox. Its faults end after the test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    with Outside(sandbox) as outside:
        yield outside


@pytest.fixture
def settings(outside: Outside) -> Settings:
    """Settings whose providers are the sandbox, with short timeouts."""
    return outside.settings()


@pytest_asyncio.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=8)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def activities(settings: Settings, db: Database) -> AsyncIterator[Activities]:
    built = build_activities(settings, db)
    yield built
    await built.close()


@pytest_asyncio.fixture
async def world(db: Database, activities: Activities, outside: Outside) -> AsyncIterator[World]:
    """A published track with an enrolled contact, whose address no other test uses."""
    world = World(db, activities, outside)
    await world.begin()
    yield world
    if world.activities is not activities:  # a test has built them again
        await world.activities.close()
