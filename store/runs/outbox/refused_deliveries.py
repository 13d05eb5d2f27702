"""Deliveries that Temporal refuses permanently: they are set aside until an operator decides about them.

They block nothing: later rows of their enrollment are delivered. If a start is refused, its enrollment is closed,
because there is no run that could act for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import utc_now
from store.runs import drop_counts, run_changes
from store.runs.drop_counts import Drop
from store.schema.rows import read_row

START_REFUSED = "start refused"
"""The end reason of an enrollment that never had a run begins with this text; the cause follows."""
REFUSED = "refused"
"""The reason under which a delivery is counted that an operator drops."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A delivery that was set aside. `cause` is a short fixed word; `reason` is Temporal's error text."""

    id: int
    enrollment_id: str
    workflow_id: str
    kind: str
    created_at: datetime
    refused_at: datetime
    cause: str
    reason: str


async def set_aside(tx: AsyncConnection, row_id: int, cause: str, reason: str, *, now: datetime | None = None) -> None:
    """Move an outbox row to the refused deliveries. If it is a start, its enrollment is closed as `exited`."""
    now = now or utc_now()
    values = {"id": row_id, "cause": cause, "reason": reason, "now": now}
    row = (await tx.execute(_SET_ASIDE, values)).first()
    if row is not None and row.kind == "start":
        await run_changes.close(tx, row.enrollment_id, "exited", f"{START_REFUSED}: {cause}", now=now)


async def waiting(tx: AsyncConnection, limit: int) -> tuple[int, list[Refused]]:
    """How many wait for a decision (starts, and signals to live runs), and the oldest of them."""
    found = [read_row(Refused, row) for row in (await tx.execute(_WAITING, {"limit": limit})).mappings()]
    return sum(count for _, _, count in await counts(tx)), found


async def counts(tx: AsyncConnection) -> list[tuple[str, str, int]]:
    """How many wait for a decision, by kind and cause."""
    return [(row.kind, row.cause, row.total) for row in await tx.execute(_COUNTS)]


async def try_again(tx: AsyncConnection, row_id: int, *, now: datetime | None = None) -> bool:
    """Put one back into the outbox, after the enrollment's other rows; returns whether that was possible.

    A start reopens its enrollment, unless it has a goal or an exit, or another enrollment has its slot.
    """
    row = (await tx.execute(_TAKE, {"id": row_id})).first()
    if row is None:
        return False
    now = now or utc_now()
    values = {"id": row_id, "enrollment": row.enrollment_id, "now": now, "refused": START_REFUSED + "%"}
    if row.kind == "start":
        if (await tx.execute(_REOPEN, values)).first() is None:
            return False
        await run_changes.reopened(tx, row.enrollment_id, now)
    return (await tx.execute(_AGAIN, values | {"kind": row.kind, "payload": row.payload})).rowcount > 0


async def drop(tx: AsyncConnection, row_id: int) -> bool:
    """Give one up, and count it; returns whether it was there."""
    row = (await tx.execute(_TAKE, {"id": row_id})).first()
    if row is not None:
        await drop_counts.add(tx, [Drop(REFUSED, row.kind, row.track)])
    return row is not None


async def prune(tx: AsyncConnection) -> int:
    """Delete signals to runs that are over by now; returns how many."""
    return (await tx.execute(_PRUNE)).rowcount


_SET_ASIDE = text("""
    WITH gone AS (DELETE FROM outbox WHERE id = :id AND delivered_at IS NULL RETURNING *)
    INSERT INTO refused_delivery (id, enrollment_id, kind, payload, created_at, refused_at, cause, reason)
    SELECT id, enrollment_id, kind, payload, created_at, :now, :cause, :reason FROM gone
    RETURNING enrollment_id::text AS enrollment_id, kind
""")
_OPEN = """
    FROM refused_delivery r JOIN enrollment e ON e.id = r.enrollment_id
    WHERE r.kind = 'start' OR e.ended_at IS NULL
"""
_WAITING = text(f"""
    SELECT r.id, r.enrollment_id::text AS enrollment_id, e.workflow_id, r.kind, r.created_at, r.refused_at, r.cause,
        r.reason
    {_OPEN} ORDER BY r.id LIMIT :limit
""")
_COUNTS = text(f"SELECT r.kind, r.cause, count(*) AS total {_OPEN} GROUP BY r.kind, r.cause ORDER BY r.kind, r.cause")
_TAKE = text("""
    DELETE FROM refused_delivery r USING enrollment e WHERE r.id = :id AND e.id = r.enrollment_id
    RETURNING r.enrollment_id::text AS enrollment_id, r.kind, r.payload::text AS payload, e.track
""")
# Closing sets the exit's time too; an exit time other than the end's comes from an earlier request to end, and stays.
_REOPEN = text("""
    UPDATE enrollment SET status = 'active', ended_at = NULL, end_reason = NULL, exit_reached_at = NULL,
        started_at = NULL
    WHERE id = :enrollment AND slot = '' AND end_reason LIKE :refused AND goal_reached_at IS NULL
        AND exit_reached_at = ended_at
    RETURNING id
""")
_AGAIN = text("""
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT e.id, :kind, CAST(:payload AS jsonb), :now, :now FROM enrollment e
    WHERE e.id = :enrollment AND e.ended_at IS NULL
""")
_PRUNE = text("""
    DELETE FROM refused_delivery r USING enrollment e
    WHERE e.id = r.enrollment_id AND r.kind <> 'start' AND e.ended_at IS NOT NULL
""")
