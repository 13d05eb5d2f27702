"""Read an id that may have been merged: the contact that it stands for now.

Statements resolve ids themselves, at the cost of one look into the index of `merged_id`, which is small.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


def survivor_of(expression: str) -> str:
    """SQL for the contact that the id stands for; the id itself where it was not merged."""
    return f"coalesce((SELECT g.contact_id FROM merged_id g WHERE g.id = {expression}), {expression})"


def is_merged(expression: str) -> str:
    """SQL for whether the id was merged into another contact."""
    return f"EXISTS (SELECT FROM merged_id g WHERE g.id = {expression})"


async def current(tx: AsyncConnection, contact_id: str) -> str:
    """The contact that the id stands for now; the id itself where it was not merged."""
    return str((await tx.execute(_CURRENT, {"id": contact_id})).scalar_one())


_CURRENT = text(f"SELECT {survivor_of('CAST(:id AS text)')}")
