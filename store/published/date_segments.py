"""The unnamed segments of the dates by which tracks are entered, kept while the newest version of a track names one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.date_moments import DateSegment
from store.engine.sql import utc_now
from store.published import segments
from store.published.segments import SegmentVersion
from tracks.model.date_entries import PREFIX, DateMoments


async def keep(
    tx: AsyncConnection, dates: Iterable[DateMoments], *, fence: bool = True, now: datetime | None = None
) -> None:
    """Keep the moments of these dates from now on, and no longer those that no track is entered by.

    A date is live at once, while contacts are still being registered one after another: its moments count from now on,
    and those that come meanwhile are told when the contact's turn has come. For `fence` see `segments.publish`: this is
    one of the last things to do in a transaction.
    """
    now = now or utc_now()
    for date in {date.name: date for date in dates}.values():
        published = await segments.publish(tx, DateSegment.of(date), "", date.data, fence=fence, now=now)
        if published.created:
            await tx.execute(_LIVE, {"name": date.name, "version": published.version})
    await tx.execute(_RETIRE)


async def progress(tx: AsyncConnection, date: DateMoments) -> SegmentVersion | None:
    """How far the contacts are registered for a date; None for one that was never kept."""
    summary = await segments.get(tx, date.name)
    return await segments.version(tx, date.name, summary.latest) if summary else None


_LIVE = text("UPDATE segment SET live = :version WHERE name = :name")
_RETIRE = text(f"""
    WITH gone AS (
        UPDATE segment_version v SET state = 'clearing', position = ''
        WHERE starts_with(segment, '{PREFIX}') AND state IN ('filling', 'live')
            AND NOT EXISTS (SELECT FROM entry_rule r WHERE r.date = v.segment)
        RETURNING segment, version
    ),
    silent AS (DELETE FROM segment_trigger t USING gone g WHERE t.segment = g.segment AND t.version = g.version)
    UPDATE segment s SET live = NULL FROM gone g WHERE s.name = g.segment
""")
