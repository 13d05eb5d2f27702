"""The slot of (track, contact, key) that an enrollment holds, and how it becomes free for the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import many
from store.published.entry_rules import Rules
from store.runs.enrollments.enrollments import LEAVE_MESSAGES


@dataclass(frozen=True, slots=True)
class Enrol:
    """A request to enrol a contact into the newest version of a track."""

    track: str
    contact_id: str
    key: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    pace: float = 1.0
    entry: str | None = None
    """The name of the track's entry that asks for it."""
    restart: bool = False
    """Begin a new run in place of a live one, as far as the track's rule says so (`Reentry.begins_anew`). Not
    idempotent: each repeat would begin another run."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The row that a request would insert."""

    id: str
    wish: Enrol
    version: int
    key: str
    workflow_id: str
    rules: Rules

    @property
    def spot(self) -> tuple[str, str, str]:
        return (self.wish.track, self.wish.contact_id, self.key)


async def begin_anew(tx: AsyncConnection, slots: Sequence[Slot], now: datetime) -> None:
    """End the live runs that begin anew. Temporal ends each old run before it starts the next (`api.relay`).

    That needs the same workflow id. A run that came with a merged contact has another one: it is told to end.

    A run whose goal has been reached is over, although Temporal does not know it yet: it makes room where the contact
    may enter again at once. So an event that is both the goal and the entry ends one run and begins the next.
    """
    slots = [place for place in slots if place.wish.restart and place.rules.reentry.begins_anew()]
    if not slots:
        return
    values = {
        "track": [p.wish.track for p in slots],
        "contact_id": [p.wish.contact_id for p in slots],
        "key": [p.key for p in slots],
        "workflow_id": [p.workflow_id for p in slots],
        "converted": [p.rules.reentry.begins_anew() == "converted" for p in slots],
        "now": now,
    }
    later(tx, _END_MERGED, values)
    rows = await tx.execute(_RESTART, values)
    for row in rows:
        later(tx, LEAVE_MESSAGES, {"id": row.id})


async def make_room(tx: AsyncConnection, slots: Sequence[Slot], now: datetime) -> None:
    """Move ended enrollments out of their slot if the track's rule lets the contact enter again."""
    again = sorted((p for p in slots if p.rules.reentry.again() is not None), key=lambda p: p.spot)
    if again:
        later(
            tx,
            _MAKE_ROOM,
            {
                "track": [p.wish.track for p in again],
                "contact_id": [p.wish.contact_id for p in again],
                "key": [p.key for p in again],
                "seconds": [p.rules.reentry.again() or 0.0 for p in again],
                "now": now,
            },
        )


# The enrollment that holds the requested slot. OFFSET keeps the planner from searching by the empty slot first: without
# statistics it assumes that few rows have an empty slot, and would scan all that do.
HOLDER = """
    LATERAL (
        SELECT * FROM enrollment e
        WHERE e.track = w.track AND e.contact_id = w.contact_id AND e.key = {key} AND e.slot = '' OFFSET 0
    ) e
"""
# Undelivered outbox rows of the old run must not reach the new run, which has the same workflow id.
_MAKE_ROOM = text(f"""
    WITH wish AS (
        SELECT DISTINCT track, contact_id, key, seconds
        FROM {many("w", track="text", contact_id="text", key="text", seconds="float8")}
    ),
    over AS (
        SELECT e.id FROM wish w CROSS JOIN {HOLDER.format(key="w.key")}
        WHERE e.ended_at <= CAST(:now AS timestamptz) - make_interval(secs => w.seconds / e.pace)
    ),
    leaving AS (
        SELECT id FROM enrollment WHERE id = ANY(ARRAY(SELECT id FROM over)) ORDER BY id FOR NO KEY UPDATE
    ),
    silenced AS (
        UPDATE outbox SET delivered_at = :now, dropped_reason = 'late', payload = '{{}}'
        WHERE delivered_at IS NULL AND enrollment_id IN (SELECT id FROM leaving)
        RETURNING id
    ),
    counted AS (
        INSERT INTO dropped (reason, kind, count)
        SELECT 'late', 'outbox', count(*) FROM silenced HAVING count(*) > 0
    )
    UPDATE enrollment SET slot = enrollment.id::text FROM leaving WHERE enrollment.id = leaving.id
""")
_WISHES = many("w", track="text", contact_id="text", key="text", workflow_id="text", converted="bool")
_END_MERGED = text(f"""
    WITH wish AS (
        SELECT DISTINCT track, contact_id, key, workflow_id, converted FROM {_WISHES}
    ),
    live AS (
        SELECT e.id FROM wish w CROSS JOIN {HOLDER.format(key="w.key")}
        WHERE e.ended_at IS NULL AND e.workflow_id <> w.workflow_id
            AND (e.goal_reached_at IS NOT NULL OR NOT w.converted)
    ),
    leaving AS (
        SELECT id FROM enrollment WHERE id = ANY(ARRAY(SELECT id FROM live)) AND ended_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
    ),
    told AS (
        UPDATE enrollment e SET slot = e.id::text, exit_reached_at = coalesce(e.exit_reached_at, :now)
        FROM leaving WHERE e.id = leaving.id RETURNING e.id
    )
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT id, 'end', '{{"reason": "restarted"}}', :now, :now FROM told ORDER BY id
""")
# The old run gets no more signals; whoever starts the new run ends it. The path that it still reports is kept. A goal
# that was reached stays reached.
_RESTART = text(f"""
    WITH wish AS (
        SELECT DISTINCT track, contact_id, key, converted FROM {_WISHES}
    ),
    live AS (
        SELECT e.id FROM wish w CROSS JOIN {HOLDER.format(key="w.key")}
        WHERE e.ended_at IS NULL AND (e.goal_reached_at IS NOT NULL OR NOT w.converted)
    ),
    leaving AS (
        SELECT id FROM enrollment WHERE id = ANY(ARRAY(SELECT id FROM live)) AND ended_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
    ),
    silenced AS (
        UPDATE outbox SET delivered_at = :now, dropped_reason = 'restarted', payload = '{{}}'
        WHERE delivered_at IS NULL AND enrollment_id IN (SELECT id FROM leaving)
        RETURNING enrollment_id, kind
    ),
    counted AS (
        INSERT INTO dropped (reason, kind, track, count)
        SELECT 'restarted', s.kind, e.track, count(*) FROM silenced s JOIN enrollment e ON e.id = s.enrollment_id
        GROUP BY s.kind, e.track
    )
    UPDATE enrollment e SET slot = e.id::text, ended_at = :now, step = NULL, started_at = coalesce(e.started_at, :now),
        status = CASE WHEN e.goal_reached_at IS NULL THEN 'exited' ELSE 'converted' END,
        end_reason = CASE WHEN e.goal_reached_at IS NULL THEN 'restarted' ELSE 'goal' END,
        exit_reached_at = CASE
            WHEN e.goal_reached_at IS NULL THEN coalesce(e.exit_reached_at, :now) ELSE e.exit_reached_at
        END
    FROM leaving WHERE e.id = leaving.id
    RETURNING e.id::text AS id
""")
