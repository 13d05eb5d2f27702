"""Activities against a real database and the sandbox, which the real SDKs call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from activities.registry import Activities, build_activities
from settings import Settings
from store.engine.database import Database
from tests.activities.activity_runner import ActivityRunner, SandboxProviders
from tests.support.sandbox import Sandbox


@pytest.fixture
def providers(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxProviders]:
    """The sandbox. Its faults end after the test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    with SandboxProviders(sandbox) as providers:
        yield providers


@pytest.fixture
def settings(providers: SandboxProviders) -> Settings:
    """Settings whose providers are the sandbox, with short timeouts."""
    return providers.settings()


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
async def runner(db: Database, activities: Activities, providers: SandboxProviders) -> AsyncIterator[ActivityRunner]:
    """A published track with an enrolled contact, whose address no other test uses."""
    runner = ActivityRunner(db, activities, providers)
    await runner.begin()
    yield runner
    if runner.activities is not activities:  # a test has built them again
        await runner.activities.close()
