"""Whether segments are kept: what is due is looked at in time, and members are who the facts say."""

from __future__ import annotations

from datetime import UTC, datetime

from api.doctor.findings import KEPT, Finding, Report
from api.doctor.time_limits import TimeLimits
from store.audience import date_check, due_memberships, segment_check
from store.engine.database import Database
from store.published import segments

SEGMENTS = 200
"""How many segments are examined at most."""
SAMPLE = 200
"""Contacts of each segment that are evaluated from the facts."""


async def look(database: Database, limits: TimeLimits, report: Report) -> None:
    """Add what is late and what is wrong to the report."""
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        late = await due_memberships.overdue(tx, now - limits.segment, KEPT)
        known = await segments.list_all(tx, limit=SEGMENTS)
    for name, count, oldest in late:
        detail = f"{count:,} memberships, the first was due {oldest:%Y-%m-%d %H:%M:%S}"
        report.add(Finding("segment-late", name, detail), count)
    for segment in known:
        if segment.live is None:
            continue
        async with database.transaction() as tx:
            checked = await segment_check.check_sample(tx, segment, datetime.now(UTC), size=SAMPLE)
        for one in checked.differences:
            stored, right = ("a member" if member else "no member" for member in (one.stored, one.evaluated))
            report.add(Finding("segment-wrong", f"{segment.name}/{one.contact_id}", f"stored as {stored}, is {right}"))
    await _dates(database, report)


async def _dates(database: Database, report: Report) -> None:
    """Add contacts who would not enter a track when their date comes."""
    async with database.transaction() as tx:
        dates = await date_check.registered_dates(tx, SEGMENTS)
    for name in dates:
        async with database.transaction() as tx:
            missed = await date_check.missed(tx, name, datetime.now(UTC), size=SAMPLE)
        for contact_id in missed:
            report.add(Finding("segment-wrong", f"{name}/{contact_id}", "the date would not be noticed when it comes"))
