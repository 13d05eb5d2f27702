"""The doctor finds events whose time has come and that nobody accepted."""

from __future__ import annotations

from datetime import timedelta

from api.doctor.findings import Report
from api.doctor.health import future_event_health
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events import future_events
from store.runs.events.events import Event


async def test_an_event_is_late_some_minutes_after_its_time(db: Database) -> None:
    now = utc_now()
    ahead = {"late": timedelta(minutes=-3), "due": timedelta(minutes=-1), "waiting": timedelta(hours=1)}
    told = [Event(name, "ann", "app.used", {}, now + moment) for name, moment in ahead.items()]
    async with db.transaction() as tx:
        await future_events.keep(tx, told, now=now - timedelta(days=1))
    report = Report()
    await future_event_health.look(db, TimeLimits(), report)
    assert [(one.kind, one.id) for one in report.findings] == [("future-event-late", "late")]
