"""Whether handoffs end in time, somebody is there to answer them, and the CRM's tasks show the answers."""

from __future__ import annotations

from datetime import UTC, datetime

from api.doctor.findings import KEPT, Finding, Report
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.people.handoffs import health
from store.published import policies


async def look(database: Database, limits: TimeLimits, report: Report) -> None:
    """Add what is late, and whom nobody can answer for, to the report."""
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        sales = (await policies.current(tx)).policy.sales
        overdue = await health.overdue(tx, now - limits.late, KEPT)
        waiting = await health.waiting(tx)
        tasks = await health.late_tasks(tx, now - limits.webhook)
    for one in overdue:
        detail = f"due {one.due_at:%Y-%m-%d %H:%M:%S}"
        report.add(Finding("handoff-late", one.id, detail, one.workflow_id, one.enrollment_id))
    for group in waiting:
        if sales.person(group.team, group.salesperson) is None:
            detail = f"{group.count:,} wait for an answer"
            report.add(Finding("handoff-unnamed", f"{group.team}/{group.salesperson}", detail), group.count)
    for name, team in sales.teams.items():
        if all(person.away for person in team.people):
            report.add(Finding("team-away", name, f"{len(team.people):,} people, all away"))
    if tasks.oldest is not None:
        why = f", {tasks.fault}" if tasks.fault else ""
        detail = f"{tasks.count:,} tasks, the first since {tasks.oldest:%Y-%m-%d %H:%M:%S}{why}"
        report.add(Finding("crm-task-late", "hubspot", detail), tasks.count)
