"""Answer a handoff, and tell tracks of it in the same transaction.

    waiting → accepted → recycled or converted
    waiting → rejected, expired or failed

An answer to a handoff that has expired, or that has another answer, comes too late: it is kept as feedback, and changes
neither the status nor the path of the run. Every other change is refused.

The contact is locked first, then the handoff.

What follows from a new status is called from here: the event, the CRM's task, and the messages that waited.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import as_json, utc_now
from store.people import contacts
from store.people.handoffs import handoff as handoffs
from store.people.handoffs import held_messages, task_updates
from store.people.handoffs.handoff import Handoff, Status
from store.runs.enrollments import enrollments
from store.runs.events import events
from store.runs.events.events import Accepted, Event
from tracks.runs.handoff_answers import event_id, event_of

Said = Literal["accepted", "rejected", "recycled", "converted"]
"""What sales can say."""
_FROM: dict[str, Status] = {
    "accepted": "waiting",
    "rejected": "waiting",
    "expired": "waiting",
    "failed": "waiting",
    "recycled": "accepted",
    "converted": "accepted",
}
"""The status that a handoff has to have for each new one."""
_LATE: tuple[Status, ...] = ("accepted", "rejected", "expired", "recycled", "converted")
"""The statuses in which another answer is kept as a late one."""
_ACCEPTED: tuple[Status, ...] = ("recycled", "converted")
"""The statuses of which `accepted` was the earlier one."""
LATE_AT_MOST = 20
"""Late answers that are kept of one handoff. Whoever has the link may press its buttons as often as they like."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer.

    `taken`: it counts. `repeated`: the same answer was given before. `late`: the time to answer was over, or the
    handoff has another answer; it is kept as feedback. `refused`: the handoff is in no status for this answer.
    """

    outcome: Literal["taken", "repeated", "late", "refused"]
    handoff: Handoff
    accepted: Accepted | None = None
    """If taken: what the answer's event did."""


async def answer(
    tx: AsyncConnection,
    said: Said,
    *,
    handoff_id: str = "",
    effect_key: str = "",
    crm_task_id: str = "",
    reason: str = "",
    by: str = "api",
    now: datetime | None = None,
) -> Answered | None:
    """Take the answer of sales about a handoff; None if there is none.

    Exactly one of these names it: its own id, the key of the effect that made it, or the CRM's id of its task.
    `reason` is the id of the reject reason; the caller has checked that the policy has it. `by` says what brought the
    answer.
    """
    if handoff_id:
        found = await handoffs.get(tx, handoff_id)
    elif effect_key:
        found = await handoffs.of_effect(tx, effect_key)
    else:
        found = await handoffs.of_crm_task(tx, crm_task_id)
    return await _change(tx, found, said, reason, by, now) if found else None


async def settle(
    tx: AsyncConnection, effect_key: str, status: Literal["expired", "failed"], *, now: datetime | None = None
) -> Handoff | None:
    """End a handoff for which its run no longer waits, unless sales has answered; answers what holds now.

    None if there is no such handoff, as after an erasure.
    """
    found = await handoffs.of_effect(tx, effect_key)
    if found is None:
        return None
    changed = await _change(tx, found, status, "", "run", now)
    return changed.handoff if changed else None


async def expire_unattended(tx: AsyncConnection, *, now: datetime | None = None, limit: int = 100) -> list[str]:
    """End the handoffs that are due and whose run has ended, so that nobody waits for them; answers their ids.

    A live run ends its own handoffs, on its own clock.
    """
    now = now or utc_now()
    due = sorted(
        (row.contact_id, row.effect_key) for row in await tx.execute(_UNATTENDED, {"now": now, "limit": limit})
    )  # all code locks several contacts in the order of their ids
    ended = [await settle(tx, key, "expired", now=now) for _, key in due]
    return [one.id for one in ended if one is not None and one.status == "expired"]


async def _change(
    tx: AsyncConnection, found: Handoff, status: Status, reason: str, by: str, now: datetime | None
) -> Answered | None:
    now = now or utc_now()
    await contacts.hold(tx, found.contact_id)
    row = (await tx.execute(_HELD, {"id": found.id})).first()
    if row is None:
        return None  # erased meanwhile
    held = replace(
        found,
        status=row.status,
        answer_reason=row.answer_reason,
        answered_at=row.answered_at,
        late_answers=row.late_answers,
    )
    if (held.status == status and held.answer_reason == reason) or (status == "accepted" and held.status in _ACCEPTED):
        return Answered("repeated", held)
    if held.status != _FROM[status]:
        late = by != "run" and held.status in _LATE
        return await _keep(tx, held, status, reason, by, now) if late else Answered("refused", held)
    changed = replace(held, status=status, answer_reason=reason, answered_by=by, answered_at=now)
    values = {"id": held.id, "status": status, "reason": reason, "by": by, "now": now}
    await tx.execute(_CHANGE, values)
    told = None if status == "failed" else await _tell(tx, changed, now)
    await task_updates.follow(tx, changed, now)
    await held_messages.wake(tx, changed.contact_id, now)
    return Answered("taken", changed, told)


async def _keep(tx: AsyncConnection, held: Handoff, status: Status, reason: str, by: str, now: datetime) -> Answered:
    """Keep a late answer with the handoff, unless it only repeats the latest one. Nothing else follows from it."""
    latest = held.late_answers[-1] if held.late_answers else {}
    if (latest.get("status"), latest.get("reason")) == (status, reason):
        return Answered("late", held)
    kept = [*held.late_answers, {"status": status, "reason": reason, "by": by, "at": now.isoformat()}][-LATE_AT_MOST:]
    await tx.execute(_KEEP, {"id": held.id, "late": as_json(kept)})
    return Answered("late", replace(held, late_answers=kept))


async def _tell(tx: AsyncConnection, changed: Handoff, now: datetime) -> Accepted:
    """Accept the event of the new status: live runs hear of it, and it may begin others, at the pace of this run."""
    run = await enrollments.get(tx, changed.enrollment_id)
    event = Event(
        event_id(changed.effect_key, changed.status),
        changed.contact_id,
        event_of(changed.status),
        properties_of(changed),
        now,
    )
    return await events.accept(tx, event, now=now, pace=run.pace if run else 1.0)


def properties_of(changed: Handoff) -> dict[str, str]:
    """The properties of the events about a handoff: ids only, and the reason why sales rejected the lead."""
    properties = {
        "handoff_id": changed.id,
        "enrollment_id": changed.enrollment_id,
        "track": changed.track,
        "step": changed.step,
        "team": changed.team,
        "salesperson": changed.salesperson,
    }
    if changed.answer_reason:
        properties["reason"] = changed.answer_reason
    return properties


_HELD = text("""
    SELECT status, answer_reason, answered_at, late_answers FROM handoff WHERE id = :id FOR NO KEY UPDATE
""")
_KEEP = text("UPDATE handoff SET late_answers = CAST(:late AS jsonb) WHERE id = :id")
_CHANGE = text("""
    UPDATE handoff SET status = :status, answer_reason = :reason, answered_by = :by, answered_at = :now WHERE id = :id
""")
_UNATTENDED = text("""
    SELECT o.contact_id, o.effect_key FROM handoff o JOIN enrollment e ON e.id = o.enrollment_id
    WHERE o.status = 'waiting' AND o.due_at <= :now AND e.ended_at IS NOT NULL
    ORDER BY o.due_at LIMIT :limit
""")
