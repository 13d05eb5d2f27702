"""Read one accepted event by its id."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.runs.events.event_lists import StoredEvent
from store.schema.rows import columns, read_row


async def get(tx: AsyncConnection, event_id: str) -> StoredEvent | None:
    """The event, or None if there is none with this id."""
    row = (await tx.execute(_GET, {"id": event_id})).mappings().first()
    return read_row(StoredEvent, row) if row else None


_GET = text(f"SELECT {columns(StoredEvent, 'e')} FROM event e WHERE e.event_id = :id")
