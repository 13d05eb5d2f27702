"""Run one PostgreSQL for as long as any test process uses it: `python -m tests.support.shared_postgres FOLDER`.

The users hold a shared lock on FOLDER/users.lock. The kernel releases it when they end for any reason. The keeper
tries to get the exclusive lock, so it never outlives them, and no counter can be wrong.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql

from infra.launch.errors import LaunchError
from infra.launch.ports import any_free
from infra.launch.postgres import Postgres

_QUICK_PASSWORD = ("SET scram_iterations = 1", "ALTER ROLE CURRENT_USER PASSWORD {}")
"""With the usual 4,096 rounds of hashing a connection costs the client 13 ms of CPU, with one round 1 ms (measured)."""


def main(folder: Path) -> None:
    """Start the server, write FOLDER/server.json (`url` of the maintenance database, or `problem`), keep running."""
    server = Postgres(folder / "server", any_free(), secrets.token_hex(8), log=folder / "postgres.log", durable=False)
    answer = folder / "server.json"
    draft = folder / "server.draft"
    try:
        server.start()
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            for statement in _QUICK_PASSWORD:
                connection.execute(sql.SQL(statement).format(server.password))
        draft.write_text(json.dumps({"url": server.url("postgres")}))
    except LaunchError as problem:
        draft.write_text(json.dumps({"problem": str(problem)}))
        draft.rename(answer)
        return
    draft.rename(answer)
    try:
        with (folder / "users.lock").open("a") as users:
            while True:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    time.sleep(0.3)
    finally:
        server.stop()
        shutil.rmtree(folder / "server", ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
