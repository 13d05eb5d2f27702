"""Runs that were sent a signal. Only Temporal knows whether a worker processes it, so the doctor asks Temporal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class SignaledRuns:
    """Live enrollments whose runs were sent a signal."""

    ids: Sequence[str]
    """At most as many as requested."""
    count: int
    """The total number."""
    position: int
    """Where the next search begins: it need not look at rows up to this position again."""


async def find_signaled(tx: AsyncConnection, *, after: int, before: datetime, limit: int) -> SignaledRuns:
    """Runs with a signal delivered before that time and accepted after a position of the outbox (0: the whole outbox).

    If there are more than `limit`, the result is a sample from each start day. Runs on one build of the worker started
    at about the same time, and a build with few runs must not be missed.
    """
    values = {"after": after, "before": before, "limit": limit}
    rows = (await tx.execute(_TOLD, values)).all()
    position = (await tx.execute(_POSITION, values)).scalar_one()
    return SignaledRuns([row.id for row in rows], rows[0].total if rows else 0, position)


# Starts are excluded: a missing search attribute already shows that no worker took a started run up.
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
# Rows that are undelivered, or were delivered just now, and all rows after them, are left for the next search.
_POSITION = text("""
    SELECT coalesce(min(id) FILTER (WHERE delivered_at IS NULL OR delivered_at > :before) - 1, max(id), :after)
    FROM outbox WHERE id > :after
""")
