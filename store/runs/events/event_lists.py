"""Lists of accepted events, newest first: of one contact, or of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.schema.rows import columns, read_row


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event; `properties` are empty after its contact was erased."""

    event_id: str
    contact_id: str
    name: str
    properties: Mapping[str, Any]
    occurred_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of a list; the times are those of acceptance."""

    contact_id: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def page(
    tx: AsyncConnection, wanted: Wanted, *, before: tuple[datetime, str] | None = None, limit: int = 50
) -> list[StoredEvent]:
    """Events accepted before the event `before` (its time and id), newest first (keyset pagination)."""
    asked: dict[str, Any] = {"limit": limit}
    where = []
    for field, sign in (("since", ">="), ("until", "<")):
        if (moment := getattr(wanted, field)) is not None:
            where.append(f"e.received_at {sign} :{field}")
            asked[field] = moment
    if before is not None:
        where.append("(e.received_at, e.event_id) < (:before_at, :before_id)")
        asked |= {"before_at": before[0], "before_id": before[1]}
    for field in ("contact_id", "name"):
        if (value := getattr(wanted, field)) is not None:
            where.append(f"e.{field} = :{field}")
            asked[field] = value
    if wanted.contact_id is not None or wanted.name is not None:
        statement = f"SELECT {_COLUMNS} FROM event e WHERE {' AND '.join(where)} {_ORDER}"
    else:
        of_name = f"SELECT * FROM event e WHERE {' AND '.join(['e.name = n.name', *where])} {_ORDER}"
        statement = f"{_NAMES} SELECT {_COLUMNS} FROM n CROSS JOIN LATERAL ({of_name}) e {_ORDER}"
    return [read_row(StoredEvent, row) for row in (await tx.execute(text(statement), asked)).mappings()]


_COLUMNS = columns(StoredEvent, "e")
_ORDER = "ORDER BY e.received_at DESC, e.event_id DESC LIMIT :limit"
# The index begins with the name: take the newest events of each name, then the newest of these.
_NAMES = """
    WITH RECURSIVE n AS (
        (SELECT name FROM event ORDER BY name LIMIT 1)
        UNION ALL
        SELECT (SELECT e.name FROM event e WHERE e.name > n.name ORDER BY e.name LIMIT 1)
        FROM n WHERE n.name IS NOT NULL
    )
"""
