"""The PostgreSQL of a test session: `python -m tests.support.shared_postgres FOLDER` keeps it."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from infra.launch.ports import any_free
from infra.launch.postgres import Postgres
from tests.support.shared_server import keep

_QUICK_PASSWORD = ("SET scram_iterations = 1", "ALTER ROLE CURRENT_USER PASSWORD {}")
"""With the usual 4,096 rounds of hashing a connection costs the client 13 ms of CPU, with one round 1 ms (measured)."""


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """A running server. Yields the `url` of its maintenance database. Raises LaunchError."""
    server = Postgres(folder / "server", any_free(), secrets.token_hex(8), log=folder / "postgres.log", durable=False)
    try:
        server.start()
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            for statement in _QUICK_PASSWORD:
                connection.execute(sql.SQL(statement).format(server.password))
        yield {"url": server.url("postgres")}
    finally:
        server.stop()
        shutil.rmtree(folder / "server", ignore_errors=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), running(Path(sys.argv[1])))
