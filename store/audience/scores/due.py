"""Grades that change by time alone: which are due. `store.audience.memberships.due_memberships` takes them up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.scores.values import KEPT


async def oldest_due(tx: AsyncConnection) -> datetime | None:
    """The moment of the first score that is to be looked at; in the past, if the work is late."""
    found: datetime | None = (await tx.execute(_OLDEST)).scalar_one_or_none()
    return found


async def overdue(tx: AsyncConnection, before: datetime, limit: int) -> list[tuple[str, int, datetime]]:
    """Scores with values that were due before that moment: how many (at most `limit` are counted), and the oldest
    moment."""
    rows = await tx.execute(_OVERDUE, {"before": before, "limit": limit})
    return [(row.score, row.late, row.oldest) for row in rows]


_OLDEST = text(f"""
    SELECT changes_at FROM score_value v WHERE changes_at IS NOT NULL AND {KEPT} ORDER BY changes_at LIMIT 1
""")
_OVERDUE = text(f"""
    SELECT score, count(*) AS late, min(changes_at) AS oldest
    FROM (
        SELECT score, changes_at FROM score_value v WHERE changes_at < :before AND {KEPT}
        ORDER BY changes_at LIMIT :limit
    ) late
    GROUP BY score ORDER BY score
""")
