"""Memberships and scores that may change by time alone: find those that are due. Any number of processes share the
work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.memberships.memberships import Touch, Updated, update
from store.audience.scores.values import KEPT as SCORES_KEPT
from store.schema.rows import Contact, columns, read_row

AT_ONCE = 200
"""Contacts in one transaction; they are locked for as long as it takes."""
_LOOKED_AT = 8 * AT_ONCE
"""The oldest due memberships that are looked at; other processes have some of their contacts."""


async def take_due(tx: AsyncConnection, now: datetime, *, most: int = AT_ONCE) -> Mapping[str, Contact]:
    """Contacts with a membership or a score that is due, locked. Those that others have locked are left out."""
    rows = await tx.execute(_TAKE, {"now": now, "looked_at": _LOOKED_AT, "most": most})
    return {row["id"]: read_row(Contact, row) for row in rows.mappings()}


async def update_due(tx: AsyncConnection, held: Mapping[str, Contact], now: datetime) -> Updated:
    """Bring these contacts up to date."""
    return await update(tx, {contact_id: Touch() for contact_id in held}, now, held=held)


async def postpone(tx: AsyncConnection, contact_id: str, now: datetime, by: timedelta) -> None:
    """Look at a contact's due memberships and scores again after that time."""
    await tx.execute(_POSTPONE, {"id": contact_id, "now": now, "until": now + by})


async def oldest_due(tx: AsyncConnection) -> datetime | None:
    """The moment of the first membership that is to be looked at; in the past, if the work is late."""
    found: datetime | None = (await tx.execute(_OLDEST)).scalar_one_or_none()
    return found


async def overdue(tx: AsyncConnection, before: datetime, limit: int) -> list[tuple[str, int, datetime]]:
    """Segments with memberships that were due before that moment: how many (at most `limit` are counted), and the
    oldest moment."""
    rows = await tx.execute(_OVERDUE, {"before": before, "limit": limit})
    return [(row.segment, row.late, row.oldest) for row in rows]


# A contact that changed before the lock was there is read as it is now; `update` reads the memberships again.
# A replaced version keeps its memberships until they are cleared; nobody looks at these any more.
_KEPT = "EXISTS (SELECT FROM segment_trigger t WHERE t.segment = m.segment AND t.version = m.version)"
_TAKE = text(f"""
    SELECT {columns(Contact, "contact", computed=False)} FROM contact
    WHERE id IN (
        (SELECT contact_id FROM membership m WHERE changes_at <= :now AND {_KEPT}
        ORDER BY changes_at LIMIT :looked_at)
        UNION ALL
        (SELECT contact_id FROM score_value v WHERE changes_at <= :now AND {SCORES_KEPT}
        ORDER BY changes_at LIMIT :looked_at)
    )
    LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
""")
_POSTPONE = text("""
    WITH scores AS (UPDATE score_value SET changes_at = :until WHERE contact_id = :id AND changes_at <= :now)
    UPDATE membership SET changes_at = :until WHERE contact_id = :id AND changes_at <= :now
""")
_OLDEST = text(f"""
    SELECT changes_at FROM membership m WHERE changes_at IS NOT NULL AND {_KEPT} ORDER BY changes_at LIMIT 1
""")
_OVERDUE = text(f"""
    SELECT segment, count(*) AS late, min(changes_at) AS oldest
    FROM (
        SELECT segment, changes_at FROM membership m WHERE changes_at < :before AND {_KEPT}
        ORDER BY changes_at LIMIT :limit
    ) late
    GROUP BY segment ORDER BY segment
""")
