"""Databases for tests: one server for the whole test session, a fresh migrated database in milliseconds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import compress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from store.schema.migrate import upgrade
from tests.support.shared_server import SharedServer

TEMPLATE = "migrated"


class TestServer:
    """The session's PostgreSQL, shared by every test process through files in `folder`."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        """Start the server, or use the one that another process has started."""
        self._server = SharedServer(folder, "tests.support.shared_postgres")
        self.maintenance_url = self._server.told["url"]
        self._idle: list[str] = []
        self._served: dict[str, int] = {}
        self._shape: dict[str, object] = {}
        self._tables: list[str] = []
        self._held: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}

    def close(self) -> None:
        """Release the server: this process does not need it any more."""
        for held in self._held.values():
            held.close()
        self._server.close()

    def url(self, database: str) -> str:
        return urlsplit(self.maintenance_url)._replace(path=f"/{database}").geturl()

    def _template(self) -> str:
        """The database from which new ones are copied. It is migrated once per session."""
        with self._server.alone():
            done = self._server.folder / "migrated"
            if not done.exists():
                self._execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
                self._execute(f"CREATE DATABASE {TEMPLATE}")
                upgrade(self.url(TEMPLATE))
                done.touch()
        return TEMPLATE

    @contextmanager
    def fresh_database(self, *, migrated: bool = True, unused: bool = False) -> Iterator[str]:
        """The URL of a database for one user, empty except for rows from migrations.

        At the end all open connections are closed. A migrated database is emptied and used again: a copy costs 70 ms
        and two checkpoints for which all wait, emptying costs 3 ms of CPU (measured). A database whose schema a
        test has changed, or which has statistics, is dropped. An `unused` database is new: deleted rows make a
        table larger, which changes PostgreSQL's plans.
        """
        name = self._idle.pop() if migrated and self._idle and not unused else self._create(migrated)
        try:
            yield self.url(name)
        finally:
            if migrated and self._emptied(name):
                self._idle.append(name)
            else:
                if held := self._held.pop(name, None):
                    held.close()
                self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _create(self, migrated: bool) -> str:
        template = self._template() if migrated else "template0"
        name = f"test_{uuid.uuid4().hex[:12]}"
        # A copy of files costs 24 ms of CPU; the default, through the log, costs 38 (measured, fsync off).
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def _emptied(self, name: str) -> bool:
        """Empty a database. Returns False if a test has changed its schema or it was used too often."""
        try:
            connection = self._connection(name)
            connection.execute(_CUT_OFF)
            while connection.execute(_OTHERS).fetchone() != (0,):
                time.sleep(0.005)
            shape = connection.execute(_SHAPE).fetchone()
            if shape != self._shape.setdefault("migrated", shape):
                return False
            # Foreign keys are triggers, which a replica does not fire, so the order of deletes does not matter.
            connection.execute("SET session_replication_role = replica")
            tables = self._tables = self._tables or [row[0] for row in connection.execute(_TABLES)]
            rows = ", ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
            filled = connection.execute(f"SELECT {rows}".encode()).fetchone() or ()
            for table in compress(tables, filled):
                connection.execute(f"DELETE FROM {table}".encode())
        except psycopg.Error:
            return False
        self._served[name] = self._served.get(name, 0) + 1
        return self._served[name] < _WORN_OUT

    def _connection(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        """The connection by which this database is emptied, made again if it was cut off."""
        held = self._held.get(name)
        if held is None or held.closed:
            held = self._held[name] = psycopg.connect(self.url(name), autocommit=True)
        return held

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            connection.execute(statement.encode())


_WORN_OUT = 60
"""Uses after which the deleted, not yet vacuumed rows of earlier tests would begin to cost time."""
_CUT_OFF = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_SHAPE = """
    SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_trigger),
        (SELECT string_agg(version_num, ',') FROM alembic_version),
        (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384)
"""
