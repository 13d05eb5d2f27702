"""Evaluate segments again for many contacts, because something has changed that is no fact of one contact.

A chunk is one transaction, and its position is stored with it: a killed process loses nothing and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.leaves.standings import cause
from store.audience.memberships.memberships import Touch, Updated, update

CHUNK = 200
"""Contacts of a chunk; they are locked for as long as it takes."""
_INNER = cause("in")


async def step(tx: AsyncConnection, now: datetime) -> Updated | None:
    """Evaluate the next contacts for one cause. None if there is nothing to do, or other processes do it.

    Each contact is locked before it is evaluated: whoever changed it with the old state in view has ended, and whoever
    comes later sees the new one.
    """
    row = (await tx.execute(_NEXT)).first()
    if row is None:
        return None
    ids = await _next_contacts(tx, row.cause, row.position)
    touch = Touch(events=frozenset({row.cause}))
    updated = await update(tx, dict.fromkeys(ids, touch), now) if ids else Updated((), ())
    if len(ids) < CHUNK:
        await tx.execute(_DONE, {"cause": row.cause})
    else:
        await tx.execute(_MOVED, {"cause": row.cause, "position": ids[-1]})
    return updated


async def _next_contacts(tx: AsyncConnection, why: str, after: str) -> Sequence[str]:
    """The contacts whom a cause may concern. Another segment: its members, by the versions before and now."""
    asked = {"after": after, "limit": CHUNK}
    if why.startswith(_INNER):
        rows = await tx.execute(_MEMBERS, asked | {"segment": why.removeprefix(_INNER)})
    else:
        rows = await tx.execute(_EVERYBODY, asked)
    return list(rows.scalars())


async def under_way(tx: AsyncConnection, segment: str) -> bool:
    """Whether contacts are still to be evaluated again for this segment, or for one that it is about."""
    return (await tx.execute(_UNDER_WAY, {"segment": segment})).first() is not None


_NEXT = text("SELECT cause, position FROM segment_revisit ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED")
_MEMBERS = text("""
    SELECT DISTINCT m.contact_id COLLATE "C" AS contact_id
    FROM segment_version v CROSS JOIN LATERAL (
        SELECT contact_id FROM membership
        WHERE segment = v.segment AND version = v.version AND member AND contact_id COLLATE "C" > :after
        ORDER BY contact_id COLLATE "C" LIMIT :limit
    ) m
    WHERE v.segment = :segment AND v.state <> 'ended' ORDER BY 1 LIMIT :limit
""")
_EVERYBODY = text('SELECT id FROM contact WHERE id COLLATE "C" > :after ORDER BY id COLLATE "C" LIMIT :limit')
_DONE = text("DELETE FROM segment_revisit WHERE cause = :cause")
_MOVED = text("UPDATE segment_revisit SET position = :position WHERE cause = :cause")
_UNDER_WAY = text("""
    WITH RECURSIVE trigger (event) AS (
        SELECT event FROM segment_trigger WHERE segment = :segment
        UNION
        SELECT t.event FROM trigger g JOIN segment_trigger t ON g.event = E'in\\n' || t.segment
    )
    SELECT 1 FROM segment_revisit r JOIN trigger g ON g.event = r.cause LIMIT 1
""")
