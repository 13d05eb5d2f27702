"""Remove an erased contact's data from import rows that are not applied yet.

Such a row is not applied anyway, but it may wait for weeks if the import is paused. Its line and its contact's id
remain, so that the import reports it as `erased`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import as_json
from store.runs.imports.import_rows import Raw

_ID = "contact_id"


async def redact(tx: AsyncConnection, contact_id: str) -> int:
    """Empty the contact's rows in imports that have not ended; returns how many there were.

    Every waiting chunk that contains the id is read, one at a time. The contact must be locked or deleted at this
    moment, so that no chunk with the contact is being applied.
    """
    emptied = 0
    for import_id, number in (await tx.execute(_NAMED, {"id": contact_id})).all():
        found = (await tx.execute(_READ, {"import": import_id, "number": number})).first()
        if found is None:  # applied in the meantime
            continue
        place = _place(found.columns or [])
        rows: list[Raw] = [(line, row) for line, row in json.loads(found.rows)]
        kept = [(line, _emptied(row, contact_id, place)) for line, row in rows]
        changed = sum(new != old for new, old in zip(kept, rows, strict=True))
        if changed:
            await tx.execute(_WRITE, {"import": import_id, "number": number, "rows": as_json(kept)})
            emptied += changed
    return emptied


def _place(columns: Sequence[Any]) -> int | None:
    """The position of the id in a row of CSV; None for JSON Lines, which have no columns."""
    return next((place for place, column in enumerate(columns) if list(column) == [_ID]), None)


def _emptied(row: str | list[str], contact_id: str, place: int | None) -> str | list[str]:
    """The row with only the id left, if it is or may be that contact's; any other row unchanged."""
    if isinstance(row, list):
        if place is None or place >= len(row) or row[place].strip() != contact_id:
            return row
        return [contact_id if at == place else "" for at in range(len(row))]
    try:
        read = json.loads(row)
    except (ValueError, RecursionError):
        return "{" if f'"{contact_id}"' in row else row  # invalid JSON stays invalid
    if not isinstance(read, dict) or read.get(_ID) != contact_id:
        return row
    return as_json({_ID: contact_id})


# JSON writes no character of an id as an escape, so a text search finds it.
_NAMED = text("""
    SELECT c.import_id, c.number FROM import_job j
    JOIN import_chunk c ON c.import_id = j.id AND position(CAST(:id AS text) IN c.rows) > 0
    WHERE j.ended_at IS NULL ORDER BY c.import_id, c.number
""")
_READ = text("""
    SELECT c.rows, j.options -> 'columns' AS columns FROM import_chunk c JOIN import_job j ON j.id = c.import_id
    WHERE c.import_id = :import AND c.number = :number FOR UPDATE OF c
""")
_WRITE = text("UPDATE import_chunk SET rows = :rows WHERE import_id = :import AND number = :number")
