"""The doctor's queries: live enrollments, what waits too long, and the few repairs that are database rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.outbox_listener import LEAD_LOCK
from store.engine.sql import any_of, as_json, utc_now
from store.schema.rows import read_row
from store.sending.messages.messages import COLUMNS, Message
from store.sending.policy.send_policy import FLOOD

NO_ID = "00000000-0000-0000-0000-000000000000"
"""Sorts before every id: the start of keyset pages."""


@dataclass(frozen=True, slots=True)
class Live:
    """An enrollment that has not ended. `start_waits`: its start is still in the outbox."""

    id: str
    workflow_id: str
    created_at: datetime
    started_at: datetime | None
    goal_reached_at: datetime | None
    exit_reached_at: datetime | None
    start_waits: bool
    told: bool
    """Whether nothing in the outbox still waits to be delivered to its run."""

    @property
    def ending_since(self) -> datetime | None:
        """When it first became known that the run has to end."""
        known = [at for at in (self.goal_reached_at, self.exit_reached_at) if at is not None]
        return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of an enrollment that has a live run in Temporal."""

    id: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An outbox row that is not delivered, and why its last attempt failed."""

    id: int
    enrollment_id: str
    workflow_id: str
    kind: str
    created_at: datetime
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Overdue:
    """Something whose due time is past."""

    id: str
    due_at: datetime
    enrollment_id: str
    reason: str = ""


async def live(
    tx: AsyncConnection,
    *,
    after: str = NO_ID,
    created_before: datetime,
    limit: int = 2000,
    only_unstarted: bool = False,
) -> list[Live]:
    """Live enrollments in the order of their ids, those after `after` (keyset pages)."""
    statement = _UNSTARTED if only_unstarted else _LIVE
    rows = await tx.execute(statement, {"after": after, "before": created_before, "limit": limit})
    return [read_row(Live, row) for row in rows.mappings()]


async def find(tx: AsyncConnection, enrollment_id: str) -> Live | None:
    """One enrollment, if it is live."""
    row = (await tx.execute(_ONE, {"id": enrollment_id})).mappings().first()
    return read_row(Live, row) if row else None


async def count_started(tx: AsyncConnection) -> int:
    """The number of live enrollments that must have a run in Temporal."""
    return int((await tx.execute(_COUNT)).scalar_one())


async def standing(tx: AsyncConnection, ids: Collection[str]) -> dict[str, Standing]:
    """The state of those of these enrollments that exist in the database."""
    rows = await tx.execute(_STANDING, {"ids": list(ids)})
    return {row["id"]: read_row(Standing, row) for row in rows.mappings()}


async def undelivered(tx: AsyncConnection, before: datetime, limit: int) -> tuple[int, list[Undelivered]]:
    """How many outbox rows created before this time are not delivered, and the oldest of them."""
    values = {"before": before, "limit": limit}
    rows = (await tx.execute(_UNDELIVERED, values)).mappings()
    found = [read_row(Undelivered, row) for row in rows]
    return await _counted(tx, _UNDELIVERED_COUNT, values, found, limit), found


async def unsettled(
    tx: AsyncConnection, *, sending: datetime, unknown: datetime, gone: Collection[str], limit: int
) -> tuple[int, list[Message]]:
    """How many messages are not settled in time, and the oldest of them.

    Such a message was claimed before `sending`. In addition, it is still `sending`, or it was claimed before `unknown`,
    or its run is over (it has ended, or is one of `gone`).
    """
    values = {"sending": sending, "unknown": unknown, "gone": list(gone), "limit": limit}
    found = [read_row(Message, row) for row in (await tx.execute(_UNSETTLED, values)).mappings()]
    return await _counted(tx, _UNSETTLED_COUNT, values, found, limit), found


async def deferred(tx: AsyncConnection, before: datetime, limit: int) -> tuple[int, list[Overdue]]:
    """How many deferred messages of live runs were due before this time, and those that were due first."""
    values = {"before": before, "limit": limit}
    found = [read_row(Overdue, row) for row in (await tx.execute(_DEFERRED, values)).mappings()]
    return await _counted(tx, _DEFERRED_COUNT, values, found, limit), found


async def flooded(tx: AsyncConnection, limit: int) -> tuple[int, list[Overdue]]:
    """How many messages of live runs wait because their address had too many, and those that are due first."""
    values = {"reason": FLOOD, "limit": limit}
    found = [read_row(Overdue, row) for row in (await tx.execute(_FLOODED, values)).mappings()]
    return await _counted(tx, _FLOODED_COUNT, values, found, limit), found


async def held_touches(tx: AsyncConnection, before: datetime, limit: int) -> tuple[int, list[Overdue]]:
    """How many held touches should have become events before this time, and those that were due first."""
    values = {"before": before, "limit": limit}
    found = [read_row(Overdue, row) for row in (await tx.execute(_TOUCHES, values)).mappings()]
    return await _counted(tx, _TOUCHES_COUNT, values, found, limit), found


async def led(tx: AsyncConnection) -> bool:
    """Whether any relay of this database holds the lock for delivering."""
    return bool((await tx.execute(_LED, {"high": LEAD_LOCK >> 32, "low": LEAD_LOCK & 0xFFFFFFFF})).scalar_one())


async def start_again(tx: AsyncConnection, enrollment_id: str, *, now: datetime | None = None) -> bool:
    """Put the start of a live enrollment into the outbox again, unless one is there already; returns whether it did.

    The new run repeats no effect: the ledger and the effects know each step by the enrollment.
    """
    return (await tx.execute(_START, {"id": enrollment_id, "now": now or utc_now()})).rowcount > 0


async def end_again(tx: AsyncConnection, enrollment: Live, *, now: datetime | None = None) -> bool:
    """Signal a live run again that its goal is reached or that it has to end; returns whether there was a live run."""
    now = now or utc_now()
    kind, payload = _ending(enrollment, now)
    values = {"id": enrollment.id, "kind": kind, "payload": as_json(payload), "now": now}
    return (await tx.execute(_TELL, values)).rowcount > 0


async def hurry(tx: AsyncConnection, ids: Sequence[int], *, now: datetime | None = None) -> int:
    """Have these outbox rows delivered now, not at their next attempt; returns how many were still undelivered."""
    return (await tx.execute(_HURRY, {"ids": list(ids), "now": now or utc_now()})).rowcount


async def note(tx: AsyncConnection, counts: Mapping[str, int], *, now: datetime | None = None) -> None:
    """Store how many problems of each kind the last check found, for metrics and pages."""
    await tx.execute(_NOTE, {"counts": as_json(dict(counts)), "now": now or utc_now()})


async def noted(tx: AsyncConnection) -> tuple[datetime, Mapping[str, int]] | None:
    """The time of the last check, and how many problems of each kind it found; None if there was none yet."""
    row = (await tx.execute(_NOTED)).first()
    return (row.at, row.counts) if row else None


async def _counted(
    tx: AsyncConnection, count: TextClause, values: Mapping[str, Any], found: Sequence[object], limit: int
) -> int:
    if len(found) < limit:
        return len(found)
    return int((await tx.execute(count, dict(values))).scalar_one())


def _ending(enrollment: Live, now: datetime) -> tuple[str, dict[str, Any]]:
    if enrollment.goal_reached_at is None:
        return "end", {"reason": "exit"}
    told = f"doctor:{enrollment.id}"
    return "event", {"event_id": told, "name": "goal", "at": now.isoformat(), "matches": ["goal"]}


_COLUMNS = """
    e.id, e.workflow_id, e.created_at, e.started_at, e.goal_reached_at, e.exit_reached_at,
    EXISTS (
        SELECT FROM outbox o WHERE o.enrollment_id = e.id AND o.kind = 'start' AND o.delivered_at IS NULL
    ) AS start_waits,
    coalesce(e.goal_reached_at, e.exit_reached_at) IS NULL OR NOT EXISTS (
        SELECT FROM outbox o WHERE o.enrollment_id = e.id AND o.delivered_at IS NULL
    ) AS told
"""
# `active` and "not ended" mean the same; only the status has an index in the order of ids.
_LIVE = text(f"""
    SELECT {_COLUMNS} FROM enrollment e
    WHERE e.status = 'active' AND e.id > :after AND e.created_at < :before ORDER BY e.id LIMIT :limit
""")
_UNSTARTED = text(f"""
    SELECT {_COLUMNS} FROM enrollment e
    WHERE e.status = 'active' AND e.started_at IS NULL AND e.id > :after AND e.created_at < :before
    ORDER BY e.id LIMIT :limit
""")
_ONE = text(f"SELECT {_COLUMNS} FROM enrollment e WHERE e.id = :id AND e.status = 'active'")
_COUNT = text("SELECT count(*) FROM enrollment WHERE status = 'active' AND started_at IS NOT NULL")
_STANDING = text(f"SELECT id, ended_at FROM enrollment WHERE id = {any_of('ids', 'uuid')}")
_UNDELIVERED = text("""
    SELECT o.id, o.enrollment_id, e.workflow_id, o.kind, o.created_at, o.attempts, o.reason
    FROM outbox o JOIN enrollment e ON e.id = o.enrollment_id
    WHERE o.delivered_at IS NULL AND o.created_at < :before ORDER BY o.id LIMIT :limit
""")
_UNDELIVERED_COUNT = text("SELECT count(*) FROM outbox WHERE delivered_at IS NULL AND created_at < :before")
_OPEN = f"""
    m.status IN ('sending', 'unknown') AND m.claimed_at < :sending AND (
        m.status = 'sending' OR m.claimed_at < :unknown OR e.ended_at IS NOT NULL
        OR m.enrollment_id = {any_of("gone", "uuid")}
    )
"""
_UNSETTLED = text(f"""
    SELECT {COLUMNS} FROM message m JOIN enrollment e ON e.id = m.enrollment_id
    WHERE {_OPEN} ORDER BY m.claimed_at LIMIT :limit
""")
_UNSETTLED_COUNT = text(f"SELECT count(*) FROM message m JOIN enrollment e ON e.id = m.enrollment_id WHERE {_OPEN}")
_DUE = "m.status = 'deferred' AND m.due_at < :before AND e.ended_at IS NULL"
_DEFERRED = text(f"""
    SELECT m.id, m.due_at, m.enrollment_id, m.reason
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id WHERE {_DUE} ORDER BY m.due_at LIMIT :limit
""")
_DEFERRED_COUNT = text(f"SELECT count(*) FROM message m JOIN enrollment e ON e.id = m.enrollment_id WHERE {_DUE}")
_HELD = "m.status = 'deferred' AND starts_with(m.reason, :reason) AND e.ended_at IS NULL"
_FLOODED = text(f"""
    SELECT m.id, m.due_at, m.enrollment_id, m.reason
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id WHERE {_HELD} ORDER BY m.due_at LIMIT :limit
""")
_FLOODED_COUNT = text(f"SELECT count(*) FROM message m JOIN enrollment e ON e.id = m.enrollment_id WHERE {_HELD}")
_TOUCHES = text("""
    SELECT t.id::text AS id, t.due_at, m.enrollment_id, t.kind AS reason
    FROM touch t JOIN message m ON m.id = t.message_id WHERE t.due_at < :before ORDER BY t.due_at LIMIT :limit
""")
_TOUCHES_COUNT = text("SELECT count(*) FROM touch WHERE due_at < :before")
# pg_locks shows a bigint lock as two halves (https://www.postgresql.org/docs/current/view-pg-locks.html).
_LED = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = CAST(:high AS bigint) AND objid = CAST(:low AS bigint)
            AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
""")
_START = text("""
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT e.id, 'start', jsonb_build_object(
            'seq', coalesce((SELECT max(seq) + 1 FROM path_entry WHERE enrollment_id = e.id), 0)
        ), :now, :now
    FROM enrollment e
    WHERE e.id = :id AND e.ended_at IS NULL AND NOT EXISTS (
        SELECT FROM outbox o WHERE o.enrollment_id = e.id AND o.kind = 'start' AND o.delivered_at IS NULL
    )
""")
_TELL = text("""
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT e.id, :kind, CAST(:payload AS jsonb), :now, :now FROM enrollment e WHERE e.id = :id AND e.ended_at IS NULL
""")
_HURRY = text(f"""
    UPDATE outbox SET next_attempt_at = :now
    WHERE id = {any_of("ids", "bigint")} AND delivered_at IS NULL AND next_attempt_at > :now
""")
_NOTE = text("""
    INSERT INTO checkup (id, at, counts) VALUES (1, :now, CAST(:counts AS jsonb))
    ON CONFLICT (id) DO UPDATE SET at = excluded.at, counts = excluded.counts
""")
_NOTED = text("SELECT at, counts FROM checkup WHERE id = 1")
