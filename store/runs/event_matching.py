"""Find the live runs that can react to an event, and signal them through the outbox."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import any_of, as_json, many
from store.published import tracks
from store.runs import dropped
from store.runs.dropped import Drop
from store.schema.rows import Contact, Enrollment, Run, columns, read_row
from tracks.conditions.conditions import NO_TRACE, ConditionError, judge
from tracks.program.event_matching import Happened, about_own, event_view, interested, left_out, signal_of
from tracks.program.program import Compiled


async def holds(
    tx: AsyncConnection, condition: str | None, context: Mapping[str, Any], track: str, kind: str = "event"
) -> bool:
    """Whether a condition is true. One that could not be computed is false, and counted with the reason.

    A condition that reads missing data is not counted: conditions may test for missing data.
    """
    if condition is None:
        return True
    holding, why = judged(condition, context)
    if why:
        count(tx, why, kind, track)
    return holding


def judged(condition: str, context: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a condition is true, and the reason to count if it could not be computed."""
    try:
        verdict = judge(condition, context)
    except ConditionError:
        return False, dropped.CONDITION
    return verdict.holds, "" if verdict.why in NO_TRACE else f"{dropped.CONDITION}: {verdict.why}"


def count(tx: AsyncConnection, reason: str, kind: str, track: str) -> None:
    """Count it together with the transaction's next statement, so that a failing condition costs no round trip."""
    later(tx, _FAILED, {"reason": reason, "kind": kind, "track": track})


async def tell_runs(tx: AsyncConnection, events: Sequence[tuple[Happened, datetime]], now: datetime) -> list[int]:
    """Write one outbox row per event and live run that can react; returns the number of rows for each event.

    `events` come with the real time when they happened. A goal or an exit is marked on the enrollment here, so that a
    send that is being claimed at this moment is refused.
    """
    rows = await tx.execute(_LIVE, {"ids": sorted({event.contact_id for event, _ in events})})
    runs: dict[str, list[Run]] = defaultdict(list)
    for row in rows.mappings():
        run = Run(read_row(Enrollment, row, "e_"), read_row(Contact, row, "c_") if row["c_id"] is not None else None)
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
                await dropped.add(tx, [Drop(dropped.TOO_LARGE, "property", run.enrollment.track, lost)])
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
    await dropped.add(tx, [Drop(dropped.NOT_A_PERSON, "event", run.enrollment.track, deaf)])
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


_FAILED = text("INSERT INTO dropped (reason, kind, track) VALUES (:reason, :kind, :track)")
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
