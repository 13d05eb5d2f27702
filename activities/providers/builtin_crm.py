"""The built-in CRM: the project's own tables, written in the transaction that records the effect."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.providers.ports import CrmChange
from store.people import crm


async def apply(tx: AsyncConnection, contact_id: str, change: CrmChange) -> None:
    """Write a change; a repeated effect key adds no second note or task."""
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
