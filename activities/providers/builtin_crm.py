"""The built-in CRM: the project's own tables, written in the transaction that records the effect."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.providers.ports import CrmChange
from store.people.crm import crm, crm_changes


async def apply(tx: AsyncConnection, contact_id: str, change: CrmChange, *, pace: float = 1.0) -> None:
    """Write a change; a repeated effect key adds no second note or task.

    The contact's attributes follow the CRM. No event is told, because the change is a track's own. `pace` is for the
    enrollments that begin because of the attributes.
    """
    task = change.task
    await crm.apply(
        tx,
        contact_id,
        change.effect_key,
        stage=change.stage,
        fields=change.fields,
        note=change.note,
        task=None if task is None else crm.NewTask(task.title, task.owner, task.due),
        now=change.at,
    )
    await crm_changes.mirror(tx, contact_id, change.stage, change.fields, pace=pace)
