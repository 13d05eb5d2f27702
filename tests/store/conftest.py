"""A real database per test, and helpers to fill it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from store.engine.database import Database
from tests.store.store_calls import StoreCalls


@pytest_asyncio.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=16)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def store(db: Database) -> StoreCalls:
    return StoreCalls(db)
