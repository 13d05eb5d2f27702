"""How many events of a name contacts have, measured on a random sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.reading_costs import Measured
from store.audience import facts
from store.engine.sql import many

SAMPLE = 500
"""Contacts that are looked at, drawn by whole blocks of the table: cheap however many contacts there are."""


async def measure(
    tx: AsyncConnection, asked: Sequence[tuple[str, timedelta | None]], now: datetime
) -> Mapping[tuple[str, timedelta | None], Measured]:
    """Measure these events, each within a span of time or ever (None)."""
    total = await facts.estimated_contacts(tx)
    values = {
        "share": 100.0 if total <= SAMPLE else min(100.0, 200.0 * SAMPLE / total),
        "limit": SAMPLE,
        "most": facts.MAX_EVENTS,
        "name": [name for name, _ in asked],
        "since": [None if within is None else now - within for _, within in asked],
    }
    found = {key: Measured(0, 0.0, 0) for key in asked}
    for row in await tx.execute(_MEASURE, values):
        found[asked[row.ord - 1]] = Measured(row.contacts, float(row.average or 0), row.beyond)
    return found


_MEASURE = text(f"""
    WITH drawn AS MATERIALIZED (SELECT id FROM contact TABLESAMPLE SYSTEM (:share) LIMIT :limit)
    SELECT w.ord, count(*) FILTER (WHERE c.events > 0) AS contacts,
        avg(c.events) FILTER (WHERE c.events > 0) AS average, count(*) FILTER (WHERE c.events > :most) AS beyond
    FROM {many("w", name="text", since="timestamptz")} CROSS JOIN drawn d CROSS JOIN LATERAL (
        SELECT count(*) AS events FROM (
            SELECT FROM event e WHERE e.contact_id = d.id AND e.name = w.name
                AND e.occurred_at > coalesce(w.since, CAST('-infinity' AS timestamptz))
            LIMIT :most + 1
        ) e
    ) c
    GROUP BY w.ord
""")
