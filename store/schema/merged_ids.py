"""Read an id that may have been merged: the contact that it stands for now.

Statements resolve ids themselves, at the cost of one look into the index of `merged_id`, which is small.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.errors import BusyError
from store.engine.sql import any_of


def survivor_of(expression: str) -> str:
    """SQL for the contact that the id stands for; the id itself where it was not merged."""
    return f"coalesce((SELECT g.contact_id FROM merged_id g WHERE g.id = {expression}), {expression})"


def is_merged(expression: str) -> str:
    """SQL for whether the id was merged into another contact."""
    return f"EXISTS (SELECT FROM merged_id g WHERE g.id = {expression})"


async def current(tx: AsyncConnection, contact_id: str) -> str:
    """The contact that the id stands for now; the id itself where it was not merged."""
    return str((await tx.execute(_CURRENT, {"id": contact_id})).scalar_one())


async def check_created(tx: AsyncConnection, ids: Sequence[str]) -> None:
    """Raise BusyError if one of these contacts, created by this transaction just now, was merged in the meantime.

    A merge may create, merge and delete a contact while the statement that creates it waits: that statement does not
    see the merge, but a later one does.
    """
    if ids and (await tx.execute(_ANY, {"ids": list(ids)})).first() is not None:
        raise BusyError("the contact was merged at this moment")


_ANY = text(f"SELECT 1 FROM merged_id WHERE id = {any_of('ids')} LIMIT 1")
_CURRENT = text(f"SELECT {survivor_of('CAST(:id AS text)')}")
