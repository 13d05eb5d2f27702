"""The tasks of the built-in CRM: read one, list them, and do them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import is_id
from store.engine.sql import utc_now
from store.people import contacts, crm_task_outcomes
from store.people.crm import crm_changes
from store.people.crm_task_outcomes import Completed
from store.runs.events.events import Accepted
from store.schema.rows import columns, read_row


@dataclass(frozen=True, slots=True)
class Task:
    """A task about a contact. The last four fields are None while it is open."""

    id: str
    effect_key: str
    """The effect that made it: `<enrollment>/<step>/<occurrence>`."""
    contact_id: str
    title: str
    owner: str | None
    due_at: datetime | None
    done: bool
    created_at: datetime
    done_at: datetime | None
    outcome: str | None
    reason: str | None
    done_by: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of a list. `owner` "" means the tasks of nobody."""

    done: bool | None = None
    owner: str | None = None
    contact_id: str | None = None
    due_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The task as it is after it was to be completed. `changed` is False if it was done before; `accepted` is what
    came of the event."""

    task: Task
    changed: bool
    accepted: Accepted | None = None


async def page(
    tx: AsyncConnection, wanted: Wanted, *, after: tuple[datetime | None, str] | None = None, limit: int = 50
) -> list[Task]:
    """Tasks after the task `after` (its due date and id): the first due first, those without a due date last."""
    asked: dict[str, Any] = {"limit": limit, "states": [False, True] if wanted.done is None else [wanted.done]}
    where = ["t.done = s.done"]
    if wanted.owner is not None:
        where.append("coalesce(t.owner, '') = :owner")
        asked["owner"] = wanted.owner
    if wanted.contact_id is not None:
        where.append("t.contact_id = :contact")
        asked["contact"] = wanted.contact_id
    if wanted.due_before is not None:
        where.append(f"{_DUE} < :due_before")
        asked["due_before"] = wanted.due_before
    if after is not None:
        where.append(f"({_DUE}, t.id) > ({_AFTER_DUE}, CAST(:after_id AS uuid))")
        asked |= {"after_due": after[0], "after_id": after[1]}
    # The indexes begin with whether a task is done: take the first tasks of each state, then the first of these.
    of_state = f"SELECT * FROM crm_task t WHERE {' AND '.join(where)} ORDER BY {_DUE}, t.id LIMIT :limit"
    statement = f"""
        SELECT {_COLUMNS} FROM unnest(CAST(:states AS boolean[])) AS s (done) CROSS JOIN LATERAL ({of_state}) t
        ORDER BY {_DUE}, t.id LIMIT :limit
    """
    return [read_row(Task, row) for row in (await tx.execute(text(statement), asked)).mappings()]


async def last_done(tx: AsyncConnection, contact_id: str, *, limit: int) -> list[Task]:
    """The tasks of the contact that were done last, the last one first."""
    return [
        read_row(Task, row)
        for row in (await tx.execute(_LAST_DONE, {"contact": contact_id, "limit": limit})).mappings()
    ]


async def get(tx: AsyncConnection, task_id: str) -> Task | None:
    """The task, or None if there is none."""
    if not is_id(task_id):
        return None
    row = (await tx.execute(_GET, {"id": task_id})).mappings().first()
    return read_row(Task, row) if row else None


async def complete(
    tx: AsyncConnection,
    task_id: str,
    outcome: str,
    *,
    reason: str | None = None,
    by: str | None = None,
    note: str | None = None,
    now: datetime | None = None,
    pace: float = 1.0,
) -> Done | None:
    """Do a task: store its outcome and the note, and tell tracks. None if there is no such task.

    A task that is done already stays as it is, and nothing is told.
    """
    now = now or utc_now()
    found = await get(tx, task_id)
    if found is None or await contacts.hold(tx, found.contact_id) is None:
        return None
    values = {"id": task_id, "now": now, "outcome": outcome, "reason": reason, "by": by}
    if (await tx.execute(_COMPLETE, values)).rowcount == 0:
        now_done = await get(tx, task_id)
        return Done(now_done, changed=False) if now_done else None
    if note:
        await crm_changes.add_note(tx, found.contact_id, note, author=by, once=f"task:{task_id}", now=now)
    completed = Completed(
        found.contact_id, task_id, outcome, found.effect_key, event_id=f"crm:task:{task_id}", reason=reason, at=now
    )
    accepted = await crm_task_outcomes.complete(tx, completed, now=now, pace=pace)
    task = await get(tx, task_id)
    assert task is not None
    return Done(task, changed=True, accepted=accepted)


_COLUMNS = columns(Task, "t").replace("t.id AS id", "t.id::text AS id")
_DUE = "coalesce(t.due_at, 'infinity'::timestamptz)"
_AFTER_DUE = "coalesce(CAST(:after_due AS timestamptz), 'infinity'::timestamptz)"
_GET = text(f"SELECT {_COLUMNS} FROM crm_task t WHERE t.id = CAST(:id AS uuid)")
_LAST_DONE = text(f"""
    SELECT {_COLUMNS} FROM crm_task t WHERE t.contact_id = :contact AND t.done
    ORDER BY t.done_at DESC, t.id DESC LIMIT :limit
""")
_COMPLETE = text("""
    UPDATE crm_task SET done = true, done_at = :now, outcome = :outcome, reason = :reason, done_by = :by
    WHERE id = CAST(:id AS uuid) AND NOT done
""")
