"""How many members each segment has, day by day, and how many entered and left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.schema.rows import columns, read_row
from tracks.model.date_entries import PREFIX

JOB = "segment-sizes"
"""The periodic job that counts the members of all segments."""


@dataclass(frozen=True, slots=True)
class Size:
    """One day of a segment: members when they were last counted, and how many were told as entering and leaving."""

    day: date
    members: int
    entered: int
    left: int


async def note(tx: AsyncConnection, now: datetime) -> None:
    """Count today's members of every live segment, and the changes of today and, once more, of yesterday.

    Days are those of UTC.
    """
    today = now.date()
    await tx.execute(_NOTE, {"day": today, "from": _begin(today), "to": _begin(today + timedelta(days=1))})
    yesterday = today - timedelta(days=1)
    await tx.execute(_AGAIN, {"day": yesterday, "from": _begin(yesterday), "to": _begin(today)})


async def sizes(tx: AsyncConnection, segment: str, *, since: date, limit: int) -> list[Size]:
    """The days from `since` on, the newest first."""
    rows = await tx.execute(_SIZES, {"segment": segment, "since": since, "limit": limit})
    return [read_row(Size, row) for row in rows.mappings()]


def _begin(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


_CHANGES = """
    SELECT properties ->> 'segment' AS segment, count(*) FILTER (WHERE name = 'segment.entered') AS entered,
        count(*) FILTER (WHERE name = 'segment.left') AS left_it
    FROM event
    WHERE name IN ('segment.entered', 'segment.left') AND received_at >= CAST(:from AS timestamptz)
        AND received_at < CAST(:to AS timestamptz)
    GROUP BY 1
"""
_NOTE = text(f"""
    INSERT INTO segment_day (segment, day, members, entered, "left")
    SELECT s.name, CAST(:day AS date), (
        SELECT count(*) FROM membership m WHERE m.segment = s.name AND m.version = s.live AND m.member
    ), coalesce(c.entered, 0), coalesce(c.left_it, 0)
    FROM segment s LEFT JOIN ({_CHANGES}) c ON c.segment = s.name
    WHERE s.live IS NOT NULL AND NOT starts_with(s.name, '{PREFIX}')
    ON CONFLICT (segment, day) DO UPDATE
    SET members = excluded.members, entered = excluded.entered, "left" = excluded."left"
""")
_AGAIN = text(f"""
    UPDATE segment_day d SET entered = c.entered, "left" = c.left_it FROM ({_CHANGES}) c
    WHERE d.segment = c.segment AND d.day = CAST(:day AS date)
""")
_SIZES = text(f"""
    SELECT {columns(Size, "d").replace("d.left AS left", 'd."left" AS "left"')} FROM segment_day d
    WHERE segment = :segment AND day >= :since ORDER BY day DESC LIMIT :limit
""")
