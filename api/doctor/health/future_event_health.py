"""Whether events that were told before they happened are accepted when their time comes."""

from __future__ import annotations

from datetime import UTC, datetime

from api.doctor.findings import KEPT, Finding, Report
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.runs.events import future_events


async def look(database: Database, limits: TimeLimits, report: Report) -> None:
    """Add what is late to the report."""
    async with database.transaction() as tx:
        late = await future_events.overdue(tx, datetime.now(UTC) - limits.segment, KEPT)
    for event_id, at in late:
        report.add(Finding("future-event-late", event_id, f"its time was {at:%Y-%m-%d %H:%M:%S}"))
