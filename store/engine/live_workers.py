"""How many workers there are: each process names its connections, and PostgreSQL knows who is connected."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_WORKER = "perennial-worker-"


def worker_name() -> str:
    """A name of its own for the connections of a worker process (`store.engine.database.Database`)."""
    return _WORKER + uuid4().hex


async def workers(connection: AsyncConnection) -> int:
    """Worker processes that hold connections to this database."""
    return int((await connection.execute(_WORKERS, {"like": f"{_WORKER}%"})).scalar_one())


_WORKERS = text("""
    SELECT count(DISTINCT application_name) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE :like
""")
