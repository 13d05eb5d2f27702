"""Runs that Temporal has told something: whether their workers take it up, only Temporal knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class SignaledRuns:
    """Live enrollments whose runs were told something."""

    ids: Sequence[str]
    """At most as many as were asked for."""
    count: int
    """How many there are."""
    position: int
    """Where the next look begins: everything before it has been among these."""


async def find_signaled(tx: AsyncConnection, *, after: int, before: datetime, limit: int) -> SignaledRuns:
    """Those told before then by what the outbox accepted after a position (0: by all that it keeps).

    Where there are more than `limit`, it is some of each day's beginners: runs that stay with one build of the worker
    began together, and a build that few are left on must not be overlooked for the others.
    """
    values = {"after": after, "before": before, "limit": limit}
    rows = (await tx.execute(_TOLD, values)).all()
    position = (await tx.execute(_POSITION, values)).scalar_one()
    return SignaledRuns([row.id for row in rows], rows[0].total if rows else 0, position)


# A start is left out: a run that has never been taken up is known by its missing search attribute.
_TOLD = text("""
    WITH told AS (
        SELECT DISTINCT enrollment_id AS id FROM outbox
        WHERE id > :after AND kind <> 'start' AND delivered_at <= :before AND dropped_reason IS NULL
    )
    SELECT e.id::text AS id, count(*) OVER () AS total
    FROM told JOIN enrollment e ON e.id = told.id AND e.ended_at IS NULL
    ORDER BY row_number() OVER (PARTITION BY date_trunc('day', e.started_at) ORDER BY random()), random()
    LIMIT :limit
""")
# What waits still, or was delivered a moment ago, is for the next look; and so is whatever came after it.
_POSITION = text("""
    SELECT coalesce(min(id) FILTER (WHERE delivered_at IS NULL OR delivered_at > :before) - 1, max(id), :after)
    FROM outbox WHERE id > :after
""")
