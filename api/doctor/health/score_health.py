"""Whether scores are kept: what is due is looked at in time, and values and grades are what the facts say."""

from __future__ import annotations

from datetime import UTC, datetime

from api.doctor.findings import KEPT, Finding, Report
from api.doctor.time_limits import TimeLimits
from store.audience.scores import checking, due
from store.engine.database import Database
from store.published import scores

SCORES = 200
"""How many scores are examined at most."""
SAMPLE = 200
"""Contacts of each score that are evaluated from the facts."""


async def look(database: Database, limits: TimeLimits, report: Report) -> None:
    """Add what is late and what is wrong to the report."""
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        late = await due.overdue(tx, now - limits.segment, KEPT)
        known = await scores.list_all(tx, limit=SCORES)
    for name, count, oldest in late:
        detail = f"{count:,} grades, the first was due {oldest:%Y-%m-%d %H:%M:%S}"
        report.add(Finding("score-late", name, detail), count)
    for score in known:
        if score.live is None:
            continue
        async with database.transaction() as tx:
            checked = await checking.check_sample(tx, score, datetime.now(UTC), size=SAMPLE)
        for one in checked.differences:
            stored = f"{one.stored:.6g} ({one.stored_grade or 'no grade'})"
            right = f"{one.evaluated:.6g} ({one.evaluated_grade})"
            report.add(Finding("score-wrong", f"{score.name}/{one.contact_id}", f"stored as {stored}, is {right}"))
