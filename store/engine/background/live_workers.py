"""Count the live workers: each worker names its connections, and PostgreSQL knows which are connected."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_WORKER = "perennial-worker-"


def worker_name() -> str:
    """A unique name for the connections of a worker process (`store.engine.database.Database`)."""
    return _WORKER + uuid4().hex


async def workers(connection: AsyncConnection) -> int:
    """The number of worker processes that are connected to this database."""
    return int((await connection.execute(_WORKERS, {"like": f"{_WORKER}%"})).scalar_one())


_WORKERS = text("""
    SELECT count(DISTINCT application_name) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE :like
""")
