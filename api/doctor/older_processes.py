"""Whether processes of an older release still work on the database of a newer one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api.doctor.findings import Finding, Report
from store.engine import releases
from store.engine.database import Database

UPGRADE = timedelta(minutes=15)
"""How long processes of two releases may run beside each other before it is a finding."""


async def look(database: Database, report: Report, *, upgrade: timedelta = UPGRADE) -> None:
    """Add each process that is older than this one, and has been connected for longer than an upgrade takes."""
    async with database.transaction() as tx:
        found = await releases.older(tx, datetime.now(UTC) - upgrade)
    for one in found:
        release = f"release {one.release}" if one.release else "a release without a mark"
        detail = f"{release}, connected since {one.since:%Y-%m-%d %H:%M:%S}; this is {releases.RELEASE}"
        report.add(Finding("older-process", f"{one.name}@{one.host}" if one.host else one.name, detail))
