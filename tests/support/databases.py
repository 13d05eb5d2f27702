"""Databases for tests: one server for the whole test session, a fresh migrated database in milliseconds."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from store.migrate import upgrade

ROOT = Path(__file__).parents[2]
TEMPLATE = "migrated"


class TestServer:
    """The session's PostgreSQL, shared by every xdist worker through files in `folder`."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        """Start it, or find it started by another worker."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._use = (folder / "users.lock").open("a")
        fcntl.flock(self._use, fcntl.LOCK_SH)
        with self._alone():
            answer = folder / "server.json"
            if not answer.exists():
                with (folder / "keeper.log").open("ab") as log:
                    keeper = subprocess.Popen(
                        [sys.executable, "-m", "tests.support.postgres_keeper", str(folder)],
                        cwd=ROOT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                    keeper.returncode = 0  # it outlives this process on purpose: no warning about that
                deadline = time.monotonic() + 60
                while not answer.exists():
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"no PostgreSQL for the tests: see {folder}/keeper.log")
                    time.sleep(0.05)
            told = json.loads(answer.read_text())
        if "problem" in told:
            raise RuntimeError(told["problem"])
        self.maintenance_url: str = told["url"]

    def close(self) -> None:
        """Say that this process needs the server no longer."""
        self._use.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time."""
        with (self.folder / "setup.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def url(self, database: str) -> str:
        return urlsplit(self.maintenance_url)._replace(path=f"/{database}").geturl()

    def _template(self) -> str:
        """The database that fresh ones are copied from; migrated once per session."""
        with self._alone():
            done = self.folder / "migrated"
            if not done.exists():
                self._execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
                self._execute(f"CREATE DATABASE {TEMPLATE}")
                upgrade(self.url(TEMPLATE))
                done.touch()
        return TEMPLATE

    @contextmanager
    def fresh_database(self, *, migrated: bool = True) -> Iterator[str]:
        """The address of a new database, dropped again at the end whoever is still connected."""
        template = self._template() if migrated else "template0"
        name = f"test_{uuid.uuid4().hex[:12]}"
        # A copy of files costs 24 ms of CPU where the default, through the log, costs 38 (measured, fsync off).
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            connection.execute(statement.encode())
