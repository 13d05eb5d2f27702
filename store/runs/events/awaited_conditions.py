"""The conditions that live runs wait for (`wait_for: {condition: …}`), and how a change of the data wakes them.

A run that waits has one row here. Whatever changes who a contact is calls `wake` in its own transaction, while the
contact is locked; `look` locks the contact too. So a change either comes before the look, which sees it, or finds the
row. The row keeps that the condition held, until the run has looked: a run counts that also where the condition holds
no more, or where the signal is late or lost.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import any_of, many
from store.published import tracks
from store.runs.condition_checks import holds
from store.runs.enrollments import enrollments
from store.schema.rows import Contact, Enrollment, Run, columns, read_row
from tracks.compiler.compiler import find_step
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT
from tracks.model.steps.steps import WaitForStep
from tracks.runs.run_interface import met_key

CHANGES_OF_FACTS = frozenset((ENTERED, LEFT, GRADED))
"""Events that say that what conditions read of the contact is another now. Those who tell them hold the contact."""

Seen = Literal["met", "waiting", "ended"]


async def look(
    tx: AsyncConnection, enrollment_id: str, step: str, occurrence: int, *, last: bool, now: datetime
) -> Seen:
    """Whether a run's awaited condition holds, or has held since the run began to wait for it.

    If it does not, and this is not the `last` look, the run is woken as soon as it does. The contact stays locked until
    the transaction ends. `ended`: the enrollment is over.
    """
    await enrollments.lock_run(tx, enrollment_id)
    # Read after the lock: the statement that waits for it sees segments and scores as they were when it began to wait.
    run = await enrollments.run(tx, enrollment_id)
    if run is None or run.contact is None or run.enrollment.ended_at is not None:
        return "ended"
    if run.enrollment.over:
        return "waiting"  # its end is on its way
    key = {"id": enrollment_id, "step": step, "occurrence": occurrence}
    met = bool((await tx.execute(_MET, key)).scalar()) or await _holds(tx, run, step)
    if met or last:
        await tx.execute(_LOOKED, key)
        return "met" if met else "waiting"
    await tx.execute(_AWAIT, key | {"now": now})
    return "waiting"


async def wake(tx: AsyncConnection, contact_ids: Collection[str], now: datetime, *, bulk: bool = False) -> int:
    """Signal the runs of these contacts whose awaited condition holds now; returns how many. The caller holds the
    contacts. `bulk` puts the signals into the slow lane."""
    rows = list((await tx.execute(_WAITING, {"ids": sorted(contact_ids)})).mappings())
    found = []
    for row in rows:
        run = Run(read_row(Enrollment, row, "e_"), read_row(Contact, row, "c_"))
        if await _holds(tx, run, row["step"]):
            found.append((run.enrollment.id, row["step"], row["occurrence"]))
    return await _signal(tx, found, now, bulk) if found else 0


async def _holds(tx: AsyncConnection, run: Run, step: str) -> bool:
    version = await tracks.pinned(tx, run.enrollment.track, run.enrollment.version)
    found = find_step(version.track, step)
    if not isinstance(found, WaitForStep) or found.wait_for.condition is None or run.contact is None:
        return False
    context = {"contact": run.contact.view(), "enrollment": run.enrollment.view()}
    return await holds(tx, found.wait_for.condition, context, run.enrollment.track)


async def _signal(tx: AsyncConnection, found: Sequence[tuple[str, str, int]], now: datetime, bulk: bool) -> int:
    ids, steps, occurrences = zip(*found, strict=True)
    values = {
        "id": list(ids),
        "step": list(steps),
        "occurrence": list(occurrences),
        "met": [met_key(step, occurrence) for _, step, occurrence in found],
        "change": new_id(),
        "now": now,
        "bulk": bulk,
    }
    return (await tx.execute(_WAKE, values)).rowcount


ANY_WAITING = f"""
    SELECT EXISTS (
        SELECT FROM enrollment e JOIN awaited_condition w ON w.enrollment_id = e.id
        WHERE e.contact_id = {any_of("ids")} AND e.ended_at IS NULL AND w.met_at IS NULL
    )
"""
"""Whether a live run of these contacts (`:ids`) waits for a condition."""
_WAITING = text(f"""
    SELECT {columns(Enrollment, "e", "e_")}, {columns(Contact, "c", "c_")}, w.step AS step, w.occurrence AS occurrence
    FROM enrollment e JOIN awaited_condition w ON w.enrollment_id = e.id JOIN contact c ON c.id = e.contact_id
    WHERE e.contact_id = {any_of("ids")} AND w.met_at IS NULL
        AND e.ended_at IS NULL AND e.goal_reached_at IS NULL AND e.exit_reached_at IS NULL
    ORDER BY e.id
""")
_MET = text("""
    SELECT met_at IS NOT NULL FROM awaited_condition
    WHERE enrollment_id = :id AND step = :step AND occurrence = :occurrence
""")
_AWAIT = text("""
    INSERT INTO awaited_condition (enrollment_id, step, occurrence, since) VALUES (:id, :step, :occurrence, :now)
    ON CONFLICT (enrollment_id) DO UPDATE SET step = :step, occurrence = :occurrence, since = :now, met_at = NULL
    WHERE awaited_condition.step <> :step OR awaited_condition.occurrence <> :occurrence
""")
_LOOKED = text("DELETE FROM awaited_condition WHERE enrollment_id = :id")
_WAKE = text(f"""
    WITH met AS (
        UPDATE awaited_condition w SET met_at = :now
        FROM {many("f", id="uuid", step="text", occurrence="int", met="text")}
        WHERE w.enrollment_id = f.id AND w.step = f.step AND w.occurrence = f.occurrence AND w.met_at IS NULL
        RETURNING w.enrollment_id, f.met
    )
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at, bulk)
    SELECT enrollment_id, 'attributes',
        jsonb_build_object('change_id', CAST(:change AS text), 'names', '[]'::jsonb, 'met', met), :now, :now, :bulk
    FROM met ORDER BY enrollment_id
""")
