"""Lists and numbers of a segment's members, by the version that counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.schema.rows import columns, read_row


@dataclass(frozen=True, slots=True)
class Member:
    """A member, since when, and when that ends or may end if nothing else happens (None: never)."""

    contact_id: str
    since: datetime
    changes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one contact and the version of a segment that counts."""

    member: bool
    since: datetime
    changes_at: datetime | None


async def page(tx: AsyncConnection, segment: str, *, after: str = "", limit: int = 100) -> list[Member]:
    """The members after that contact, by the bytes of their ids (keyset pagination)."""
    rows = await tx.execute(_PAGE, {"segment": segment, "after": after, "limit": limit})
    return [read_row(Member, row) for row in rows.mappings()]


async def size(tx: AsyncConnection, segment: str) -> int:
    """How many members there are, counted now."""
    return int((await tx.execute(_SIZE, {"segment": segment})).scalar_one())


async def stored(tx: AsyncConnection, segment: str, ids: list[str]) -> dict[str, Stored]:
    """What is stored of these contacts. Who has no row is no member, and does not become one by time alone."""
    rows = await tx.execute(_STORED, {"segment": segment, "ids": ids})
    return {row.contact_id: Stored(row.member, row.since, row.changes_at) for row in rows}


_LIVE = "JOIN segment s ON s.name = m.segment AND s.live = m.version"
_PAGE = text(f"""
    SELECT {columns(Member, "m")} FROM membership m
    WHERE m.segment = :segment AND m.version = (SELECT live FROM segment WHERE name = :segment) AND m.member
        AND m.contact_id COLLATE "C" > :after
    ORDER BY m.contact_id COLLATE "C" LIMIT :limit
""")
_SIZE = text("""
    SELECT count(*) FROM membership m
    WHERE m.segment = :segment AND m.version = (SELECT live FROM segment WHERE name = :segment) AND m.member
""")
_STORED = text(f"""
    SELECT m.contact_id, m.member, m.since, m.changes_at FROM membership m {_LIVE}
    WHERE m.segment = :segment AND m.contact_id = {any_of("ids")}
""")
