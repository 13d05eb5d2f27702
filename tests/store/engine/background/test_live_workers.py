"""PostgreSQL knows which worker processes are alive."""

from __future__ import annotations

from sqlalchemy import text

from store.engine.background.live_workers import worker_name, workers
from store.engine.database import Database


async def test_each_worker_counts_once_and_only_while_it_is_connected(postgres_url: str) -> None:
    api, one, other = (Database(postgres_url, 2, name=name) for name in ("perennial", worker_name(), worker_name()))

    async def seen() -> int:
        async with api.statement() as connection:
            return await workers(connection)

    try:
        assert await seen() == 0
        async with one.statement() as first, one.statement() as second:
            for connection in (first, second):
                await connection.execute(text("SELECT 1"))
            assert await seen() == 1
        await other.ping()
        assert await seen() == 1, "a ping is not of the pool"
        async with other.statement() as connection:
            await connection.execute(text("SELECT 1"))
        assert await seen() == 2
        await one.close()
        while await seen() == 2:  # PostgreSQL takes a moment to end a session
            pass
        assert await seen() == 1
    finally:
        for database in (api, one, other):
            await database.close()
