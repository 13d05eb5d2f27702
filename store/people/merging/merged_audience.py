"""Segments, scores and events of a merged contact: the survivor is evaluated anew, and live runs hear what both did.

What is kept of a contact's audience under the contact's id belongs here: it is computed anew from the facts of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.memberships import memberships
from store.audience.memberships.memberships import Change, Touch
from store.audience.webhooks import outgoing
from store.audience.webhooks.outgoing import Outgoing
from store.engine.sql import any_of
from store.runs.events import event_deliveries, events
from store.runs.events.events import Event
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT

_MOST = 500
"""The most events of the other contact that live runs are told at a merge, the newest of them."""


class Left(NamedTuple):
    """A segment that a merged id was known to be a member of, and how many changes of that had been told."""

    segment: str
    version: int
    seq: int


async def leave(tx: AsyncConnection, merged: str, now: datetime) -> Sequence[Left]:
    """Delete the memberships and scores of the merged id; returns the memberships that were known.

    Webhooks that segments are sent on to are told that this id left: it is no contact any more.
    """
    left = [Left(*row) for row in await tx.execute(_LEAVE, {"id": merged})]
    outgoing.queue(tx, [Outgoing(merged, one.segment, False, now) for one in left], now)
    return left


async def evaluate(
    tx: AsyncConnection, contacts: Sequence[str], now: datetime, pace: float, *, former: Sequence[Left] = ()
) -> None:
    """Evaluate these contacts in all segments and scores, and tell each change once.

    `former` are segments that the merged id was a member of. Where the survivor is none, neither before nor now, the
    person has left: runs that came with the merged id are told so.
    """
    updated = await memberships.update(tx, {one: Touch(created=True) for one in contacts}, now)
    left = []
    for survivor in contacts if former else ():
        inside = set((await tx.execute(_SEGMENTS, {"id": survivor})).scalars())
        told = {change.segment for change in updated.changes}
        left += [
            Change(survivor, one.segment, one.version, entered=False, at=now, seq=one.seq + 1)
            for one in former
            if one.segment not in inside | told
        ]
    await events.tell_changes(tx, replace(updated, changes=[*updated.changes, *left]), now=now, pace=pace)


async def tell_runs(
    tx: AsyncConnection, merge_id: str, of_survivor: Sequence[str], of_merged: Sequence[str], now: datetime
) -> int:
    """Tell live runs what the other contact did since they began: goals, exits and waits. The events have been moved.

    Returns how many deliveries there are. Changes of segments and grades are not told again.
    """
    told = 0
    for runs, from_merged in ((of_survivor, True), (of_merged, False)):
        if runs:
            asked = {
                "runs": list(runs),
                "merge": merge_id,
                "moved": from_merged,
                "most": _MOST,
                "quiet": [ENTERED, LEFT, GRADED],
            }
            rows = (await tx.execute(_SINCE, asked)).mappings().all()
            happened = [(Event(**row), row["occurred_at"]) for row in reversed(rows)]
            told += sum(await event_deliveries.tell_runs(tx, happened, now, only=runs)) if happened else 0
    return told


_LEAVE = text("""
    WITH scores AS (DELETE FROM score_value WHERE contact_id = :id),
    gone AS (DELETE FROM membership WHERE contact_id = :id RETURNING segment, version, member, told, seq)
    SELECT g.segment, g.version, g.seq FROM gone g JOIN segment s ON s.name = g.segment AND s.live = g.version
    WHERE g.member AND g.told ORDER BY g.segment
""")
_SEGMENTS = text("""
    SELECT m.segment FROM membership m JOIN segment s ON s.name = m.segment AND s.live = m.version
    WHERE m.contact_id = :id AND m.member
""")
_SINCE = text(f"""
    SELECT DISTINCT e.event_id, e.contact_id, e.name, e.properties, e.occurred_at
    FROM enrollment l JOIN interest n ON n.track = l.track AND n.version = l.version AND NOT n.event = {any_of("quiet")}
    JOIN event e ON e.contact_id = l.contact_id AND e.name = n.event AND e.occurred_at >= l.created_at
    WHERE l.id = {any_of("runs", "uuid")} AND :moved = EXISTS (
        SELECT FROM merge_moved m
        WHERE m.merge_id = CAST(:merge AS uuid) AND m.part = 'event' AND m.row_id = e.event_id
    )
    ORDER BY e.occurred_at DESC, e.event_id DESC LIMIT :most
""")
