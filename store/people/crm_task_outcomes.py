"""A task for sales was completed, in the built-in CRM or in HubSpot: the one place that says what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store.people.handoffs import answering
from store.people.handoffs.answering import Said
from store.published import policies
from store.runs.events import events
from store.runs.events.events import Accepted

COMPLETED = "crm.task_completed"


@dataclass(frozen=True, slots=True)
class Completed:
    """A completed task. `task_id` is the CRM's own id of it."""

    contact_id: str
    task_id: str
    outcome: str
    """A word, such as `done`, `accepted`, `rejected`."""
    effect_key: str
    """The effect that made the task: `<enrollment>/<step>/<occurrence>`."""
    event_id: str
    """Under this id the event is stored once."""
    at: datetime
    reason: str | None = None
    source: str = "builtin"


async def complete(tx: AsyncConnection, task: Completed, *, now: datetime, pace: float = 1.0) -> Accepted:
    """Tell tracks, segments and scores of the completed task: `crm.task_completed`. A repeated call tells nothing.

    Whatever else follows from a salesperson's answer is called from here, so that it follows in every CRM.
    """
    enrollment_id, _, rest = task.effect_key.partition("/")
    properties: dict[str, Any] = {
        "task": task.task_id,
        "outcome": task.outcome,
        "reason": task.reason,
        "enrollment_id": enrollment_id,
        "step": rest.rpartition("/")[0],
        "source": task.source,
    }
    told = {name: value for name, value in properties.items() if value}
    await _answer_handoff(tx, task, now)
    return await events.accept(
        tx, events.Event(task.event_id, task.contact_id, COMPLETED, told, task.at), now=now, pace=pace
    )


async def _answer_handoff(tx: AsyncConnection, task: Completed, now: datetime) -> None:
    """A handoff whose task is completed is accepted, or rejected where the outcome says so.

    A reason counts only if it is one of the policy's. An answer that comes too late, or after another one, changes
    nothing.
    """
    said: Said = "rejected" if task.outcome == "rejected" else "accepted"
    reasons = (await policies.current(tx)).policy.sales.reject_reasons if said == "rejected" else ()
    reason = task.reason if task.reason in reasons else ""
    await answering.answer(tx, said, effect_key=task.effect_key, reason=reason or "", by="crm", now=now)
