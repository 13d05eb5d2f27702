"""Whether contacts are registered for the dates by which tracks are entered: a moment that is not known never comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.segments.date_moments import DateSegment
from store.audience.facts import HOLD, draw
from store.audience.segments import member_lists
from store.published import segments
from store.schema.rows import Contact, read_row
from tracks.model.date_entries import PREFIX


async def registered_dates(tx: AsyncConnection, limit: int) -> list[str]:
    """The names of dates for which all contacts have been registered."""
    return list((await tx.execute(_DATES, {"limit": limit})).scalars())


async def missed(tx: AsyncConnection, name: str, now: datetime, *, size: int) -> list[str]:
    """Of about so many contacts, drawn by whole blocks of the table, those whose next moment would not be noticed."""
    people = await draw(tx, size)
    wrong = await _wrong(tx, name, people, now)
    if not wrong:
        return []
    rows = await tx.execute(HOLD, {"ids": sorted(wrong)})  # they may have been changed since
    return await _wrong(tx, name, [read_row(Contact, row) for row in rows.mappings()], now)


async def _wrong(tx: AsyncConnection, name: str, people: Sequence[Contact], now: datetime) -> list[str]:
    summary = await segments.get(tx, name)
    if summary is None or summary.live is None:
        return []
    segment = await segments.definition(tx, name, summary.live)
    assert isinstance(segment, DateSegment)
    known = await member_lists.stored(tx, name, [person.id for person in people])
    found = []
    for person in people:
        row, answer = known.get(person.id), segment.decider.judged(Facts(person.view()), now)
        _, comes = answer
        looked_at = row.changes_at if row is not None else None
        if comes is not None and (looked_at is None or looked_at > comes):
            found.append(person.id)
    return found


_DATES = text(f"""
    SELECT s.name FROM segment s JOIN segment_version v ON v.segment = s.name AND v.version = s.live
    WHERE starts_with(s.name, '{PREFIX}') AND v.state = 'live' ORDER BY s.name LIMIT :limit
""")
