"""Read and change enrollments, their paths and their ends. `store.runs.enrollments.enrolling` creates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later, together
from store.engine.errors import BusyError
from store.engine.ids import is_id
from store.engine.pipeline import Statement
from store.engine.sql import as_json, many, utc_now
from store.schema.rows import Contact, Enrollment, EnrollmentStatus, Run, columns, read_row
from store.schema.tables.runs import run_tables as tables
from tracks.runs.run_interface import PathEntry, RunStatus


async def get(tx: AsyncConnection, enrollment_id: str) -> Enrollment | None:
    """An enrollment, or None if there is none."""
    if not is_id(enrollment_id):
        return None
    row = (await tx.execute(_GET, {"id": enrollment_id})).mappings().first()
    return read_row(Enrollment, row) if row else None


async def run(tx: AsyncConnection, enrollment_id: str) -> Run | None:
    """An enrollment with its contact's present data, without any lock."""
    if not is_id(enrollment_id):
        return None
    row = (await tx.execute(_RUN, {"id": enrollment_id})).mappings().first()
    if row is None:
        return None
    return Run(read_row(Enrollment, row, "e_"), None if row["c_id"] is None else read_row(Contact, row, "c_"))


async def lock_run(tx: AsyncConnection, enrollment_id: str) -> Run | None:
    """As `run`, with locks: until this transaction ends, no other acts for the contact or changes the enrollment.

    All code locks the contact first, then the enrollment. Data that is read after this call is as recent as the lock.
    Raises BusyError if the enrollment went to another contact while this waited: contacts were merged.
    """
    if not is_id(enrollment_id):
        return None
    who = {"id": enrollment_id}
    contact, enrollment = await together(tx, Statement(LOCK_CONTACT, who), Statement(_LOCK, who))
    person, row = contact.mappings().first(), enrollment.mappings().first()
    if row is None:
        return None
    await check_contact(tx, row["contact_id"], person["id"] if person else None)
    return Run(read_row(Enrollment, row), read_row(Contact, person) if person else None)


async def check_contact(tx: AsyncConnection, contact_id: str, locked: str | None) -> None:
    """Raise BusyError unless the locked contact is the one of the enrollment, as the enrollment was read afterwards.

    A merge, or its undoing, moves enrollments from one contact to another. None is right if the contact was erased.
    """
    if locked == contact_id:
        return
    if locked is not None or (await tx.execute(_EXISTS, {"id": contact_id})).scalar_one():
        raise BusyError("the contact was merged at this moment")


async def list_page(
    tx: AsyncConnection,
    *,
    track: str | None = None,
    contact_id: str | None = None,
    status: EnrollmentStatus | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Enrollment]:
    """Enrollments, newest first; those older than the enrollment `before` (keyset pagination)."""
    table = tables.enrollment
    statement = select(table)
    if track is not None:
        statement = statement.where(table.c.track == track)
    if contact_id is not None:
        statement = statement.where(table.c.contact_id == contact_id)
    if status is not None:
        statement = statement.where(table.c.status == status)
    if before is not None:
        if not is_id(before):
            return []
        statement = statement.where(table.c.id < before)
    rows = (await tx.execute(statement.order_by(table.c.id.desc()).limit(limit))).mappings()
    return [read_row(Enrollment, row) for row in rows]


async def live_for_contact(tx: AsyncConnection, contact_id: str) -> list[Enrollment]:
    """The contact's enrollments that have not ended."""
    rows = (await tx.execute(_LIVE, {"id": contact_id})).mappings()
    return [read_row(Enrollment, row) for row in rows]


async def entered_since(tx: AsyncConnection, contact_id: str, track: str, since: datetime) -> tuple[int, int]:
    """How many enrollments of the contact in the track began at or after `since`, and how many of these ended."""
    found = (await tx.execute(_ENTERED_SINCE, {"contact": contact_id, "track": track, "since": since})).one()
    return found.entered, found.ended


async def path(tx: AsyncConnection, enrollment_id: str, *, after: int = -1, limit: int = 1000) -> list[PathEntry]:
    """The steps that the enrollment has completed and reported, in order; those with `seq` > `after`."""
    if not is_id(enrollment_id):
        return []
    table = tables.path_entry
    statement = (
        select(table.c.seq, table.c.step, table.c.kind, table.c.outcome, table.c.at, table.c.detail)
        .where(table.c.enrollment_id == enrollment_id, table.c.seq > after)
        .order_by(table.c.seq)
        .limit(limit)
    )
    return [PathEntry(**row) for row in (await tx.execute(statement)).mappings()]


async def report_path(
    tx: AsyncConnection, enrollment_id: str, entries: Sequence[PathEntry], *, step: str | None = None
) -> None:
    """Store progress (each entry once) and the run's current step (unless None)."""
    if entries or step is not None:
        later(tx, _REPORT, {"id": enrollment_id, "step": step, **path_arrays(entries)})


async def outcomes(tx: AsyncConnection, enrollment_id: str) -> dict[str, str]:
    """The reported outcome of each step, as `enrollment.steps` has it in a branch."""
    rows = await tx.execute(_OUTCOMES, {"id": enrollment_id})
    return {row.step: row.detail if row.outcome == "took" else row.outcome for row in rows}


async def close(
    tx: AsyncConnection,
    enrollment_id: str,
    status: RunStatus,
    reason: str,
    *,
    path: Sequence[PathEntry] = (),
    counts: Mapping[str, Any] | None = None,
    now: datetime | None = None,
    unless_named: bool = False,
) -> bool:
    """The run is over. Returns whether this call ended the enrollment (False: it had ended already, and stays so).

    `unless_named`: not if a segment names the track. Otherwise the caller brings such segments up to date
    (`store.runs.run_changes.close`).

    Its messages that waited for another claim become `skipped` with the reason of the end (`goal`, `exit`, `ended`), or
    `failed` if the path says that their step had given up.
    """
    values = {
        "id": enrollment_id,
        "status": status,
        "reason": reason,
        "counts": as_json(dict(counts or {})),
        "now": now or utc_now(),
        "unless_named": unless_named,
        **path_arrays(path),
    }
    closed, _ = await together(tx, Statement(_CLOSE, values), Statement(LEAVE_MESSAGES, {"id": enrollment_id}))
    if not closed.rowcount and counts:  # ended already without its run, as by a restart, so without counts
        await tx.execute(_COUNT, values)
    return closed.rowcount > 0


async def request_end(tx: AsyncConnection, enrollment_id: str, reason: str, *, now: datetime | None = None) -> bool:
    """Ask a live run to end, through the outbox; no send is allowed from now on. Returns whether it was live."""
    if not is_id(enrollment_id):
        return False
    result = await tx.execute(
        _REQUEST_END, {"id": enrollment_id, "payload": as_json({"reason": reason}), "now": now or utc_now()}
    )
    return result.rowcount > 0


def path_arrays(entries: Sequence[PathEntry]) -> dict[str, Any]:
    """Path entries as the arrays that `PATH_INSERT` reads."""
    return {
        f"path_{name}": [getattr(entry, name) for entry in entries]
        for name in ("seq", "step", "kind", "outcome", "at", "detail")
    }


_COLUMNS = columns(Enrollment, "e")
_GET = text(f"SELECT {_COLUMNS} FROM enrollment e WHERE id = :id")
_EXISTS = text("SELECT EXISTS (SELECT FROM contact WHERE id = :id)")
_ENTERED_SINCE = text("""
    SELECT count(*) AS entered, count(ended_at) AS ended FROM enrollment
    WHERE contact_id = :contact AND track = :track AND created_at >= :since
""")
_LIVE = text(f"SELECT {_COLUMNS} FROM enrollment e WHERE contact_id = :id AND ended_at IS NULL ORDER BY id")
_RUN = text(f"""
    SELECT {columns(Enrollment, "e", "e_")}, {columns(Contact, "c", "c_")}
    FROM enrollment e LEFT JOIN contact c ON c.id = e.contact_id WHERE e.id = :id
""")
LOCK_CONTACT = text(f"""
    SELECT {columns(Contact, "c")} FROM contact c
    WHERE c.id = (SELECT contact_id FROM enrollment WHERE id = :id) FOR NO KEY UPDATE
""")
_LOCK = text(f"SELECT {_COLUMNS} FROM enrollment e WHERE id = :id FOR NO KEY UPDATE")
_ENTRIES = many(
    "p", prefix="path_", seq="int", step="text", kind="text", outcome="text", at="timestamptz", detail="text"
)
PATH_INSERT = f"""
    INSERT INTO path_entry (enrollment_id, seq, step, kind, outcome, at, detail)
    SELECT CAST(:id AS uuid), p.seq, p.step, p.kind, p.outcome, p.at, p.detail FROM {_ENTRIES}
    ON CONFLICT (enrollment_id, seq) DO NOTHING
"""
_OUTCOMES = text("SELECT step, outcome, detail FROM path_entry WHERE enrollment_id = :id ORDER BY seq")
_REPORT = text(f"""
    WITH path AS ({PATH_INSERT})
    UPDATE enrollment SET step = :step
    WHERE id = :id AND ended_at IS NULL AND CAST(:step AS text) IS NOT NULL AND step IS DISTINCT FROM :step
""")
_CLOSE = text(f"""
    WITH path AS ({PATH_INSERT}),
    awaited AS (DELETE FROM awaited_condition WHERE enrollment_id = :id)
    UPDATE enrollment SET status = :status, end_reason = :reason, ended_at = :now, counts = CAST(:counts AS jsonb),
        step = NULL, started_at = coalesce(started_at, :now),
        goal_reached_at = CASE WHEN :status = 'converted' THEN coalesce(goal_reached_at, :now) ELSE goal_reached_at END,
        exit_reached_at = CASE WHEN :status = 'exited' THEN coalesce(exit_reached_at, :now) ELSE exit_reached_at END
    WHERE id = :id AND ended_at IS NULL AND NOT (
        :unless_named AND EXISTS (SELECT FROM segment_trigger g WHERE g.event = E'on\\n' || track)
    )
""")
_COUNT = text("UPDATE enrollment SET counts = CAST(:counts AS jsonb) WHERE id = :id AND counts = '{}'")
WHY_OVER = """
    CASE WHEN e.goal_reached_at IS NOT NULL THEN 'goal' WHEN e.exit_reached_at IS NOT NULL THEN 'exit' ELSE 'ended' END
"""
"""Why an ended enrollment `e` is over; the same value that `Enrollment.over` had just before its end."""
_GAVE_UP = """
    m.status = 'released' AND EXISTS (
        SELECT FROM path_entry p WHERE p.enrollment_id = m.enrollment_id AND p.step = m.step AND p.outcome = 'failed'
    )
"""
# A separate statement: its snapshot is taken after the run has ended, so it sees what a claim or a release wrote while
# the closing waited for its lock.
LEAVE_MESSAGES = text(f"""
    UPDATE message m SET
        status = CASE WHEN {_GAVE_UP} THEN 'failed' ELSE 'skipped' END,
        reason = CASE WHEN {_GAVE_UP} THEN m.reason ELSE {WHY_OVER} END,
        settled_at = e.ended_at, due_at = NULL
    FROM enrollment e
    WHERE e.id = :id AND e.ended_at IS NOT NULL AND m.enrollment_id = e.id AND m.status IN ('released', 'deferred')
""")
_REQUEST_END = text("""
    WITH live AS (
        UPDATE enrollment SET exit_reached_at = coalesce(exit_reached_at, :now)
        WHERE id = :id AND ended_at IS NULL RETURNING id
    )
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT id, 'end', CAST(:payload AS jsonb), :now, :now FROM live
""")
