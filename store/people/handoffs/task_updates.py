"""The CRM's task of a handoff follows the answer, whatever brought it.

Sales rejects the lead, nobody answers in time, or an accepted lead ends: the task is closed. Sales accepts the lead:
the task stays open, because it is still to be done, and a note says so.

The built-in CRM follows in the answer's own transaction. HubSpot follows later: the handoff notes from when on its task
is to be updated, and every worker looks for such handoffs. An update that is made twice shows the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.people.crm import crm_changes
from store.people.handoffs.handoff import Handoff, Status
from store.runs import drop_counts
from store.runs.drop_counts import Drop

LEASE = timedelta(minutes=1)
"""How long a process has to update the tasks that it took. Then another one may take them."""
REFUSED, KIND = "refused", "crm task"
"""The reason and the kind of an update that is dropped because HubSpot refuses it, as for a task that was deleted."""


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """What a task in HubSpot has to show."""

    handoff_id: str
    task_id: str
    status: Status
    reason: str
    """Why sales rejected the lead: the id of the reason."""
    attempts: int
    """How often it was tried, with this time."""


async def follow(tx: AsyncConnection, changed: Handoff, now: datetime) -> None:
    """Let the task show the handoff's new status. The contact and the handoff are locked.

    A task that was completed in its CRM, which brought the answer, shows it already.
    """
    if changed.answered_by == "crm":
        return
    values = {"key": changed.effect_key, "status": changed.status, "reason": changed.answer_reason or None, "now": now}
    statement = _KEPT if changed.status == "accepted" else _CLOSE
    if (await tx.execute(statement, values)).first() is None:
        await tx.execute(_LATER, {"id": changed.id, "now": now})
        return
    reason = f" ({changed.answer_reason})" if changed.answer_reason else ""
    note = f"{changed.reason or changed.step}: {changed.status}{reason}"
    once = f"handoff:{changed.id}:{changed.status}"
    await crm_changes.add_note(tx, changed.contact_id, note, once=once, now=now)


async def claim(tx: AsyncConnection, now: datetime, *, limit: int = 10) -> list[TaskUpdate]:
    """Take the tasks in HubSpot that are to be updated now; for the time of the lease they are nobody else's."""
    rows = await tx.execute(_CLAIM, {"now": now, "lease": now + LEASE, "limit": limit})
    return [TaskUpdate(*row) for row in rows]


async def settle(tx: AsyncConnection, update: TaskUpdate, now: datetime) -> None:
    """The task shows that status. If the handoff has another one by now, the task is updated again at once."""
    await tx.execute(_SETTLE, {"id": update.handoff_id, "status": update.status, "now": now})


async def fail(tx: AsyncConnection, update: TaskUpdate, fault: str, again_at: datetime | None) -> None:
    """The task was not updated: try again then, or never (None), which is counted. The handoff says why."""
    if again_at is None:
        await drop_counts.add(tx, [Drop(REFUSED, KIND)])
    await tx.execute(_FAIL, {"id": update.handoff_id, "at": again_at, "fault": fault})


_KEPT = text("SELECT id FROM crm_task WHERE effect_key = :key")
# A task that was done before stays as it is.
_CLOSE = text("""
    UPDATE crm_task SET done = true, done_at = coalesce(done_at, CAST(:now AS timestamptz)),
        outcome = CASE WHEN done THEN outcome ELSE :status END, reason = CASE WHEN done THEN reason ELSE :reason END
    WHERE effect_key = :key RETURNING id
""")
_LATER = text("""
    UPDATE handoff SET task_update_at = :now, task_update_attempts = 0, task_fault = ''
    WHERE id = :id AND crm_task_id IS NOT NULL
""")
_CLAIM = text("""
    UPDATE handoff SET task_update_at = :lease, task_update_attempts = task_update_attempts + 1
    WHERE id IN (
        SELECT id FROM handoff WHERE task_update_at <= :now ORDER BY task_update_at LIMIT :limit
        FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id, crm_task_id, status, answer_reason, task_update_attempts
""")
_SETTLE = text("""
    UPDATE handoff SET task_update_at = CASE WHEN status = :status THEN NULL ELSE CAST(:now AS timestamptz) END,
        task_update_attempts = 0, task_fault = ''
    WHERE id = :id
""")
_FAIL = text("UPDATE handoff SET task_update_at = :at, task_fault = :fault WHERE id = :id")
