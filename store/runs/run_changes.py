"""Begin and end runs, and bring the segments up to date that name their tracks, in the same transaction.

All code locks the contact first, then the enrollment. So a contact is locked against changes before a run of a track
begins or ends that a segment names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.memberships import memberships
from store.engine.sql import utc_now
from store.runs.enrollments import enrolling, enrollments
from store.runs.enrollments.enrolling import Enrolled
from store.runs.enrollments.enrollment_slots import Enrol
from store.runs.events import events
from store.runs.events.segment_touches import by_runs
from tracks.runs.run_interface import PathEntry, RunStatus


async def enroll(tx: AsyncConnection, wish: Enrol, *, now: datetime | None = None) -> Enrolled:
    """Enrol one contact; see `enroll_many`."""
    return (await enroll_many(tx, [wish], now=now))[0]


async def enroll_many(
    tx: AsyncConnection, wishes: Sequence[Enrol], *, bulk: bool = False, now: datetime | None = None
) -> list[Enrolled]:
    """As `store.runs.enrollments.enrolling.enroll_many`. Who enters or leaves a segment by it does so in this
    transaction.

    Runs that begin by that have the pace of the wish.
    """
    now = now or utc_now()
    results = await enrolling.enroll_many(tx, wishes, bulk=bulk, now=now)
    moved: dict[float, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for wish, result in zip(wishes, results, strict=True):
        if result.moves:
            moved[wish.pace][wish.contact_id].add(wish.track)
    for pace, tracks in moved.items():
        await tell(tx, tracks, now, pace=pace, bulk=bulk)
    return results


async def close(
    tx: AsyncConnection,
    enrollment_id: str,
    status: RunStatus,
    reason: str,
    *,
    path: Sequence[PathEntry] = (),
    counts: Mapping[str, Any] | None = None,
    ended_at: datetime | None = None,
    now: datetime | None = None,
) -> bool:
    """As `store.runs.enrollments.enrollments.close`, with the moment at which the run ended (None: now).

    Who enters or leaves a segment by it does so in this transaction.
    """
    now = now or utc_now()
    row = (await tx.execute(_HOLD_IF_NAMED, {"id": enrollment_id})).first()
    closed = await enrollments.close(tx, enrollment_id, status, reason, path=path, counts=counts, now=ended_at or now)
    if row is not None and closed:
        await tell(tx, {row.contact_id: {row.track}}, now, pace=row.pace)
    return closed


async def reopened(tx: AsyncConnection, enrollment_id: str, now: datetime) -> None:
    """An ended run was made live again."""
    row = (await tx.execute(_HOLD_IF_NAMED, {"id": enrollment_id})).first()
    if row is not None:
        await tell(tx, {row.contact_id: {row.track}}, now, pace=row.pace)


async def tell(
    tx: AsyncConnection,
    moved: Mapping[str, set[str]],
    now: datetime,
    *,
    pace: float = 1.0,
    bulk: bool = False,
) -> None:
    """Bring the segments up to date of contacts who began or ended runs of these tracks."""
    updated = await memberships.update(tx, by_runs(moved), now)
    await events.tell_changes(tx, updated, now=now, pace=pace, bulk=bulk)


_HOLD_IF_NAMED = text("""
    WITH named AS (
        SELECT e.contact_id, e.track, e.pace FROM enrollment e
        WHERE e.id = :id AND EXISTS (SELECT FROM segment_trigger g WHERE g.event = E'on\\n' || e.track)
    )
    SELECT n.contact_id, n.track, n.pace FROM contact c JOIN named n ON n.contact_id = c.id FOR NO KEY UPDATE OF c
""")
