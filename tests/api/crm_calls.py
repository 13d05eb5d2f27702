"""Tasks of the built-in CRM for tests."""

from __future__ import annotations

from datetime import datetime

from store.engine.database import Database
from store.people import crm_tasks
from store.people.crm import crm


async def make_task(
    db: Database, contact_id: str, title: str = "Call", owner: str | None = None, due: datetime | None = None
) -> str:
    """A task as a track's `crm` step makes it; returns its id."""
    async with db.transaction() as tx:
        key = f"0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90/{title.lower()}/1:{contact_id}"
        await crm.apply(tx, contact_id, key, task=crm.NewTask(title, owner, due))
        found = await crm_tasks.page(tx, crm_tasks.Wanted(contact_id=contact_id))
    return next(task.id for task in found if task.title == title)
