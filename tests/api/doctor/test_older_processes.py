"""The doctor names processes of an older release that still work on the database."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from api.doctor import older_processes
from api.doctor.findings import Report
from store.engine.database import Database, driver_url
from store.engine.releases import RELEASE


async def looked(db: Database, upgrade: timedelta = timedelta(0)) -> list[tuple[str, str]]:
    report = Report()
    await older_processes.look(db, report, upgrade=upgrade)
    return [(one.kind, one.detail.partition(",")[0]) for one in report.findings]


async def test_an_older_process_is_a_finding_once_an_upgrade_should_be_over(db: Database, postgres_url: str) -> None:
    assert await looked(db) == [], "this process is of this release"
    names = ("perennial-worker-00ff", "perennial/0025", f"perennial/{RELEASE}", "psql", "perennially")
    engines = [
        create_async_engine(driver_url(postgres_url), poolclass=NullPool, connect_args={"application_name": name})
        for name in names
    ]
    connections = [await engine.connect() for engine in engines]
    try:
        found = ["a release without a mark", "release 0025"]
        assert await looked(db) == [("older-process", what) for what in found]
        assert await looked(db, timedelta(minutes=15)) == []
    finally:
        for connection in connections:
            await connection.close()
