"""What Temporal has yet to be told: starts, events, changed attributes, ends.

One relay delivers (`store.listening.Listener.lead`). It reads `pending`, delivers each enrollment's rows in
order and different enrollments side by side, and then says what became of them. A row that could not be
delivered holds back the later rows of its enrollment until its next attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.sql import any_of, utc_now
from tracks.wire import Clock

Kind = Literal["start", "event", "attributes", "end"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row with what is needed to deliver it.

    `payload` is the JSON of `EventSignal`, `AttributesChanged` or `EndSignal`, by `kind`; a start has none.
    Where `ended`, the run is over: its workflow id may belong to a newer run by now, so do not signal it, drop it.
    """

    id: int
    enrollment_id: str
    kind: Kind
    payload: Mapping[str, Any]
    attempts: int
    created_at: datetime
    workflow_id: str
    contact_id: str
    track: str
    version: int
    clock: Clock
    ended: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, and since when."""

    waiting: int
    oldest: datetime | None


async def pending(
    tx: AsyncConnection, limit: int = 100, *, busy: Sequence[str] = (), now: datetime | None = None
) -> list[Delivery]:
    """Rows to deliver now, in order. `busy` are enrollments whose earlier rows are being delivered already."""
    rows = await tx.execute(_PENDING, {"limit": limit, "busy": list(busy), "now": now or utc_now()})
    return [
        Delivery(
            id=row.id,
            enrollment_id=row.enrollment_id,
            kind=row.kind,
            payload=row.payload,
            attempts=row.attempts,
            created_at=row.created_at,
            workflow_id=row.workflow_id,
            contact_id=row.contact_id,
            track=row.track,
            version=row.version,
            clock=Clock(origin=row.origin, pace=row.pace),
            ended=row.ended,
        )
        for row in rows
    ]


async def delivered(tx: AsyncConnection, ids: Sequence[int], *, now: datetime | None = None) -> None:
    """Temporal has these rows, so that their payloads go; the enrollments whose start is among them have started."""
    if ids:
        await tx.execute(_DELIVERED, {"ids": list(ids), "now": now or utc_now()})


async def failed(tx: AsyncConnection, row_id: int, next_attempt_at: datetime, reason: str = "") -> None:
    """A delivery failed for a reason and is tried again from then on, before any later row of its enrollment."""
    await tx.execute(_FAILED, {"id": row_id, "at": next_attempt_at, "reason": reason})


async def drop(tx: AsyncConnection, ids: Sequence[int], reason: str, *, now: datetime | None = None) -> int:
    """Give these rows up for a reason (such as `late`), and count them; how many still waited."""
    if not ids:
        return 0
    result = await tx.execute(_DROP, {"ids": list(ids), "reason": reason, "now": now or utc_now()})
    return int(result.scalar_one())


async def backlog(tx: AsyncConnection) -> Backlog:
    """How much waits, for metrics and readiness."""
    row = (await tx.execute(_BACKLOG)).one()
    return Backlog(row.waiting, row.oldest)


async def prune(tx: AsyncConnection, before: datetime) -> int:
    """Delete rows delivered or dropped before then; how many."""
    return (await tx.execute(_PRUNE, {"before": before})).rowcount


_PENDING = text(f"""
    SELECT o.id, o.enrollment_id, o.kind, o.payload, o.attempts, o.created_at, e.workflow_id, e.contact_id,
        e.track, e.version, e.origin, e.pace, e.ended_at IS NOT NULL AS ended
    FROM outbox o JOIN enrollment e ON e.id = o.enrollment_id
    WHERE o.delivered_at IS NULL AND o.next_attempt_at <= :now
        AND NOT o.enrollment_id = {any_of("busy", "uuid")}
        AND NOT EXISTS (
            SELECT 1 FROM outbox p
            WHERE p.enrollment_id = o.enrollment_id AND p.id < o.id
                AND p.delivered_at IS NULL AND p.attempts > 0 AND p.next_attempt_at > :now
        )
    ORDER BY o.id LIMIT :limit
""")
_DELIVERED = text(f"""
    WITH done AS (
        UPDATE outbox SET delivered_at = :now, attempts = attempts + 1, payload = '{{}}'
        WHERE id = {any_of("ids", "bigint")} AND delivered_at IS NULL
        RETURNING enrollment_id, kind
    )
    UPDATE enrollment SET started_at = coalesce(started_at, :now)
    WHERE id IN (SELECT enrollment_id FROM done WHERE kind = 'start')
""")
_FAILED = text("""
    UPDATE outbox SET attempts = attempts + 1, next_attempt_at = :at, reason = :reason
    WHERE id = :id AND delivered_at IS NULL
""")
_DROP = text(f"""
    WITH gone AS (
        UPDATE outbox SET delivered_at = :now, dropped_reason = :reason, payload = '{{}}'
        WHERE id = {any_of("ids", "bigint")} AND delivered_at IS NULL
        RETURNING enrollment_id, kind
    ),
    counted AS (
        INSERT INTO dropped (reason, kind, track, count)
        SELECT :reason, g.kind, e.track, count(*) FROM gone g JOIN enrollment e ON e.id = g.enrollment_id
        GROUP BY g.kind, e.track
    )
    SELECT count(*) FROM gone
""")
_BACKLOG = text("SELECT count(*) AS waiting, min(created_at) AS oldest FROM outbox WHERE delivered_at IS NULL")
_PRUNE = text("DELETE FROM outbox WHERE delivered_at < :before")
