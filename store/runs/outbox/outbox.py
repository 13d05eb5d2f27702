"""The outbox of signals that Temporal has not received yet: starts, events, changed attributes, ends.

One relay delivers (`store.engine.outbox_listener.Listener.lead`). It reads `pending`, delivers the rows of each
enrollment in order and different enrollments in parallel, and then records the results. A row that could not be
delivered holds back the later rows of its enrollment until its next attempt.

The rows are in lanes, so that many rows of one kind do not delay the others: first signals to live runs, then starts,
then what an import or a batch caused (`bulk`), again signals before starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, utc_now
from tracks.shared.run_clock import Clock

Kind = Literal["start", "event", "attributes", "end"]

LONGEST_REST = timedelta(seconds=30)
"""The longest time between two attempts. A later time comes from a clock that was wrong, and counts as due."""

RUN_FULL = "its run takes no more signals"
"""The run has received as many signals as Temporal allows, so the row waits until the run continues as new."""

KEPT_FOR_STARTS = 4
"""Places kept for starts, however many signals wait: a change of everybody's attributes may take minutes."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row with everything that its delivery needs.

    `payload` is the JSON of `EventSignal`, `AttributesChanged` or `EndSignal`, by `kind`; a start has none. If `ended`,
    the run is over and its workflow id may belong to a newer run: drop the row instead of signalling.
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
    bulk: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """What to deliver: enrollments in the order of their lanes, each with its rows in order."""

    runs: Sequence[Sequence[Delivery]]
    more: bool
    """Whether there may be more rows, for which there was no room."""
    crowded: bool
    """Whether only signals to live runs were read, so that the rest may be more of them."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many rows wait, and since when."""

    waiting: int
    oldest: datetime | None


async def pending(
    tx: AsyncConnection,
    limit: int = 100,
    *,
    room: int | None = None,
    starts: int | None = None,
    bulk: int | None = None,
    busy: Sequence[str] = (),
    delivered: Sequence[int] = (),
    now: datetime | None = None,
) -> Pending:
    """The rows to deliver now, in the order of the lanes, of at most `room` enrollments.

    The same statement marks the rows of `delivered` as delivered.

    At most `limit` rows are read, plus a few starts if all of these are signals. Among the enrollments without a live
    signal, at most `starts` have a start in their rows and at most `bulk` are in the slow lanes (None: no limit). An
    enrollment's earlier rows are delivered together with a later one, in whatever lane they are, so that none is
    overtaken. `busy` are enrollments whose earlier rows are being delivered. A row that was never tried is due whatever
    its time, because the clocks of API and relay may differ.
    """
    now = now or utc_now()
    given = {"busy": list(busy), "now": now, "ahead": now + LONGEST_REST}
    if delivered:
        rows = (await tx.execute(_DELIVERED_AND_PENDING, {"limit": limit, "ids": list(delivered), **given})).all()
    else:
        rows = (await tx.execute(_PENDING, {"limit": limit, **given})).all()
    cut = len(rows) == limit  # otherwise all waiting rows have been read
    told = {row.enrollment_id for row in rows if row.kind != "start"}
    crowded = cut and all(row.kind != "start" and not row.bulk for row in rows)
    if told and cut:
        found = {row.id: row for row in rows}
        found |= {row.id: row for row in await tx.execute(_OF_RUNS, {"runs": list(told), **given})}
        if crowded:  # otherwise starts are among the rows that were read
            found |= {row.id: row for row in await tx.execute(_STARTS, {"limit": KEPT_FOR_STARTS, **given})}
        rows = list(found.values())
    runs: dict[str, list[Any]] = {}
    for row in rows:
        runs.setdefault(row.enrollment_id, []).append(row)
    for run in runs.values():
        run.sort(key=lambda row: row.id)
    chosen = _chosen(sorted(runs.values(), key=_lane), room, starts, bulk)
    return Pending([[_delivery(row) for row in run] for run in chosen], cut or len(chosen) < len(runs), crowded)


def is_slow(run: Sequence[Any]) -> bool:
    """Whether all rows of a run are in the slow lane."""
    return all(row.bulk for row in run)


def _lane(run: Sequence[Any]) -> int:
    """The lane of a run's rows: a live signal, a live start, or nothing live."""
    if any(row.kind != "start" and not row.bulk for row in run):
        return _TOLD
    return _SLOW if is_slow(run) else _STARTED


def _chosen(
    runs: Sequence[Sequence[Any]], room: int | None, starts: int | None, bulk: int | None
) -> Sequence[Sequence[Any]]:
    """The runs for which there is room; `runs` come in the order of their lanes."""
    room, starts, bulk = (len(runs) if most is None else most for most in (room, starts, bulk))
    told = [run for run in runs if _lane(run) == _TOLD]
    others = []
    for run in runs[len(told) :]:
        starting, slow = run[0].kind == "start", _lane(run) == _SLOW
        if (starts > 0 or not starting) and (bulk > 0 or not slow):
            others.append(run)
            starts -= starting
            bulk -= slow
    told = told[: max(room - min(len(others), KEPT_FOR_STARTS), 0)]
    return [*told, *others[: room - len(told)]]


def _delivery(row: Any) -> Delivery:
    return Delivery(
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
        clock=Clock.of(row.origin, row.pace),
        ended=row.ended,
        bulk=row.bulk,
    )


async def delivered(tx: AsyncConnection, ids: Sequence[int], *, now: datetime | None = None) -> None:
    """Temporal has received these rows: delete their payloads, and mark enrollments with a start here as started."""
    if ids:
        await tx.execute(_DELIVERED, {"ids": list(ids), "now": now or utc_now()})


async def failed(tx: AsyncConnection, row_id: int, next_attempt_at: datetime, reason: str = "") -> None:
    """A delivery failed. It is tried again from that time on, before any later row of its enrollment."""
    await tx.execute(_FAILED, {"id": row_id, "at": next_attempt_at, "reason": reason})


async def drop(tx: AsyncConnection, ids: Sequence[int], reason: str, *, now: datetime | None = None) -> int:
    """Give these rows up for a reason (such as `late`), and count them; returns how many were still waiting."""
    if not ids:
        return 0
    result = await tx.execute(_DROP, {"ids": list(ids), "reason": reason, "now": now or utc_now()})
    return int(result.scalar_one())


async def backlog(tx: AsyncConnection) -> Backlog:
    """The size of the backlog, for metrics and readiness."""
    row = (await tx.execute(_BACKLOG)).one()
    return Backlog(row.waiting, row.oldest)


async def undelivered(tx: AsyncConnection, enrollment_id: str) -> int:
    """How many deliveries to this enrollment's run are waiting."""
    return int((await tx.execute(_UNDELIVERED, {"id": enrollment_id})).scalar_one())


async def bulk_waiting(tx: AsyncConnection, at_most: int) -> int:
    """How many rows of the slow lane are waiting, counted up to `at_most`."""
    return int((await tx.execute(_BULK_WAITING, {"limit": at_most})).scalar_one())


async def prune(tx: AsyncConnection, before: datetime) -> int:
    """Delete rows that were delivered or dropped before this time; returns how many."""
    return (await tx.execute(_PRUNE, {"before": before})).rowcount


_TOLD, _STARTED, _SLOW = range(3)
_WAITING = f"""
    SELECT o.id, o.enrollment_id, o.kind, o.payload, o.attempts, o.created_at, e.workflow_id, e.contact_id,
        e.track, e.version, e.origin, e.pace, e.ended_at IS NOT NULL AS ended, o.bulk
    FROM outbox o JOIN enrollment e ON e.id = o.enrollment_id
    WHERE o.delivered_at IS NULL
        AND (o.attempts = 0 OR o.next_attempt_at <= :now OR o.next_attempt_at > :ahead)
        AND NOT o.enrollment_id = {any_of("busy", "uuid")}
        AND NOT EXISTS (
            SELECT 1 FROM outbox p
            WHERE p.enrollment_id = o.enrollment_id AND p.id < o.id
                AND p.delivered_at IS NULL AND p.attempts > 0
                AND p.next_attempt_at > :now AND p.next_attempt_at <= :ahead
        )
"""
_IN_ORDER = "ORDER BY o.bulk, (o.kind = 'start'), o.id LIMIT :limit"
_PENDING = text(f"{_WAITING} {_IN_ORDER}")
_STARTS = text(f"{_WAITING} AND o.kind = 'start' AND NOT o.bulk ORDER BY o.id LIMIT :limit")
_OF_RUNS = text(f"{_WAITING} AND o.enrollment_id = {any_of('runs', 'uuid')}")
_DONE = f"""
    WITH done AS (
        UPDATE outbox SET delivered_at = :now, attempts = attempts + 1, payload = '{{}}'
        WHERE id = {any_of("ids", "bigint")} AND delivered_at IS NULL
        RETURNING enrollment_id, kind
    ),
    started AS (
        UPDATE enrollment SET started_at = coalesce(started_at, :now)
        WHERE id IN (SELECT enrollment_id FROM done WHERE kind = 'start')
    )
"""
_DELIVERED = text(f"{_DONE} SELECT")
# The select sees the rows as before the update, so it excludes the delivered ones by their ids.
_DELIVERED_AND_PENDING = text(f"{_DONE} {_WAITING} AND NOT o.id = {any_of('ids', 'bigint')} {_IN_ORDER}")
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
_UNDELIVERED = text("SELECT count(*) FROM outbox WHERE enrollment_id = :id AND delivered_at IS NULL")
_BULK_WAITING = text("""
    SELECT count(*) FROM (SELECT FROM outbox WHERE delivered_at IS NULL AND bulk LIMIT :limit) waiting
""")
_PRUNE = text("DELETE FROM outbox WHERE delivered_at < :before")
