"""What the doctor asks about handoffs: those that should have ended, and those whose salesperson there is no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Overdue:
    """A handoff that still waits although its time is over."""

    id: str
    enrollment_id: str
    workflow_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many handoffs of one salesperson wait for an answer."""

    team: str
    salesperson: str
    count: int


@dataclass(frozen=True, slots=True)
class LateTasks:
    """Tasks in HubSpot that do not show their answer yet."""

    count: int
    oldest: datetime | None
    """When the first of these answers was given."""
    fault: str
    """What HubSpot said to one of them; empty if it was not asked."""


async def overdue(tx: AsyncConnection, before: datetime, limit: int) -> list[Overdue]:
    """The handoffs that wait although they were due before that moment, the first due first."""
    return [Overdue(*row) for row in await tx.execute(_OVERDUE, {"before": before, "limit": limit})]


async def waiting(tx: AsyncConnection) -> list[Waiting]:
    """Who is waited for, by team and salesperson."""
    return [Waiting(*row) for row in await tx.execute(_WAITING)]


async def late_tasks(tx: AsyncConnection, before: datetime) -> LateTasks:
    """The tasks in HubSpot that do not show an answer that was given before that moment."""
    return LateTasks(*(await tx.execute(_LATE_TASKS, {"before": before})).one())


_OVERDUE = text("""
    SELECT CAST(o.id AS text), CAST(e.id AS text), e.workflow_id, o.due_at
    FROM handoff o JOIN enrollment e ON e.id = o.enrollment_id
    WHERE o.status = 'waiting' AND o.due_at < :before ORDER BY o.due_at, o.id LIMIT :limit
""")
_WAITING = text("""
    SELECT team, salesperson, count(*) FROM handoff WHERE status = 'waiting' GROUP BY 1, 2 ORDER BY 1, 2
""")
_LATE_TASKS = text("""
    SELECT count(*), min(answered_at), coalesce(max(task_fault), '') FROM handoff
    WHERE task_update_at IS NOT NULL AND answered_at < :before
""")
