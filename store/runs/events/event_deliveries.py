"""Find the live runs that can react to an event, and signal them through the outbox."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import any_of, as_json, many
from store.published import tracks
from store.runs import drop_counts
from store.runs.condition_checks import holds
from store.runs.drop_counts import Drop
from store.schema.rows import Contact, Enrollment, Run, columns, read_row
from tracks.runs.event_matching import Happened, about_own, event_view, interested, left_out, signal_of
from tracks.runs.program import Compiled


async def tell_runs(
    tx: AsyncConnection,
    events: Sequence[tuple[Happened, datetime]],
    now: datetime,
    *,
    only: Collection[str] | None = None,
) -> list[int]:
    """Write one outbox row per event and live run that can react; returns the number of rows for each event.

    `events` come with the real time when they happened. A goal or an exit is marked on the enrollment here, so that a
    send that is being claimed at this moment is refused. With `only`, no other enrollments are told than these.
    """
    rows = await tx.execute(_LIVE, {"ids": sorted({event.contact_id for event, _ in events})})
    runs: dict[str, list[Run]] = defaultdict(list)
    for row in rows.mappings():
        run = Run(read_row(Enrollment, row, "e_"), read_row(Contact, row, "c_") if row["c_id"] is not None else None)
        if only is None or run.enrollment.id in only:
            runs[run.enrollment.contact_id].append(run)
    told: list[_Told] = []
    counts: list[int] = []
    for event, at in events:
        before = len(told)
        for run in runs[event.contact_id]:
            compiled = (await tracks.pinned(tx, run.enrollment.track, run.enrollment.version)).compiled
            matches = await _matches(tx, run, compiled, event, at, now)
            if matches:
                signal = signal_of(event, at, matches, compiled)
                lost = left_out(signal, event, compiled)
                await drop_counts.add(tx, [Drop(drop_counts.TOO_LARGE, "property", run.enrollment.track, lost)])
                told.append(_Told(run.enrollment.id, matches, as_json(signal.model_dump(mode="json"))))
        counts.append(len(told) - before)
    if told:
        later(
            tx,
            _TELL,
            {
                "id": [t.enrollment_id for t in told],
                "goal": [any(match == "goal" for match in t.matches) for t in told],
                "leaves": [any(match.startswith("exit:") for match in t.matches) for t in told],
                "payload": [t.payload for t in told],
                "now": now,
            },
        )
    return counts


@dataclass(frozen=True, slots=True)
class _Told:
    enrollment_id: str
    matches: tuple[str, ...]
    payload: str


async def _matches(
    tx: AsyncConnection, run: Run, compiled: Compiled, event: Happened, at: datetime, now: datetime
) -> tuple[str, ...]:
    interests, deaf = interested(compiled, event)
    await drop_counts.add(tx, [Drop(drop_counts.NOT_A_PERSON, "event", run.enrollment.track, deaf)])
    if not interests:
        return ()
    clock = run.enrollment.clock
    context = {
        "contact": run.contact.view() if run.contact else None,
        "event": event_view(event, clock.at(at)),
        "enrollment": run.enrollment.view(),
        "now": clock.at(now),
    }
    own = [interest for interest in interests if about_own(interest, event, run.enrollment.id)]
    return tuple([i.match for i in own if await holds(tx, i.where, context, run.enrollment.track)])


_LIVE = text(f"""
    SELECT {columns(Enrollment, "e", "e_")}, {columns(Contact, "c", "c_")}
    FROM enrollment e LEFT JOIN contact c ON c.id = e.contact_id
    WHERE e.contact_id = {any_of("ids")} AND e.ended_at IS NULL ORDER BY e.id
""")
_TELL = text(f"""
    WITH told AS (
        SELECT * FROM {many("t", id="uuid", goal="bool", leaves="bool", payload="text")}
    ),
    marks AS (SELECT id, bool_or(goal) AS goal, bool_or(leaves) AS leaves FROM told GROUP BY id),
    locked AS (
        SELECT e.id FROM enrollment e JOIN marks m ON m.id = e.id AND (m.goal OR m.leaves)
        ORDER BY e.id FOR NO KEY UPDATE OF e
    ),
    marked AS (
        UPDATE enrollment e SET
            goal_reached_at = CASE WHEN m.goal THEN coalesce(e.goal_reached_at, :now) ELSE e.goal_reached_at END,
            exit_reached_at = CASE WHEN m.leaves THEN coalesce(e.exit_reached_at, :now) ELSE e.exit_reached_at END
        FROM marks m JOIN locked l ON l.id = m.id
        WHERE e.id = l.id AND e.ended_at IS NULL
    )
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT id, 'event', payload::jsonb, :now, :now FROM told ORDER BY ord
""")
