"""What a `crm` step wrote to HubSpot: whose contact it is, the values, and the task's id.

So HubSpot's webhooks about our own changes are recognised, and what salespeople do there finds its contact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, utc_now
from store.people import contacts
from store.people.hubspot import applying, objects, waiting
from store.people.hubspot.hubspot_change import Change, Moment, Properties


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. `at` is HubSpot's own time of it, by which older changes are recognised."""

    object_id: str
    at: datetime
    properties: Mapping[str, str | None] = field(default_factory=dict)
    task_id: str | None = None


async def record(
    tx: AsyncConnection,
    contact_id: str,
    effect_key: str,
    written: Written,
    properties: Properties,
    *,
    now: datetime | None = None,
    pace: float = 1.0,
) -> None:
    """Note what one step wrote for the contact; then what had waited for it is applied.

    Nothing is noted of an erased contact. Attributes follow; no event is told of the step's own changes.
    """
    now = now or utc_now()
    known = await objects.learn(tx, written.object_id, [], properties, now)
    person = await contacts.hold(tx, contact_id)
    if person is None:
        if known.contact_id is None:
            await objects.forget(tx, [written.object_id])
        return
    contact_id = person.id  # another one, if the contact was merged while the step wrote
    if known.contact_id is None:
        await tx.execute(_NAME, {"object": written.object_id, "contact": contact_id, "at": written.at})
    own = [
        Change(Moment(written.at, f"own:{effect_key}:{name}"), written.object_id, name, value or None, own=True)
        for name, value in written.properties.items()
        if name in properties.attributes
    ]
    if own:
        await applying.apply(tx, written.object_id, own, properties, now=now, pace=pace)
    else:
        await applying.settle(tx, written.object_id, properties, now=now, pace=pace)
    if written.task_id is not None:
        await tx.execute(_TASK, {"task": written.task_id, "contact": contact_id, "key": effect_key})
        completions = await waiting.take(tx, "task", written.task_id)
        for change in sorted(completions, key=lambda one: (one.outcome is None, one.moment)):
            await applying.complete_task(tx, change, now=now, pace=pace)


async def erase(tx: AsyncConnection, contact_id: str, email: str | None) -> None:
    """Delete all that is known of a person from HubSpot."""
    if found := await objects.of_person(tx, contact_id, email):
        await objects.forget(tx, found)
    tasks = (await tx.execute(_FORGET_TASKS, {"contact": contact_id})).scalars().all()
    if tasks:
        await tx.execute(_FORGET_COMPLETIONS, {"ids": list(tasks)})


# The step wrote this contact, so nothing else has to tell who it is.
_NAME = text("""
    UPDATE hubspot_contact SET named_id = :contact, named_at = :at WHERE object_id = :object AND contact_id IS NULL
""")
_TASK = text("""
    INSERT INTO hubspot_task (task_id, contact_id, effect_key) VALUES (:task, :contact, :key)
    ON CONFLICT (task_id) DO NOTHING
""")
_FORGET_TASKS = text("DELETE FROM hubspot_task WHERE contact_id = :contact RETURNING task_id")
_FORGET_COMPLETIONS = text(f"DELETE FROM hubspot_waiting WHERE kind = 'task' AND object_id = {any_of('ids')}")
