"""Changes of somebody who is no contact yet, or of a task that is not known yet: kept for a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import many
from store.people.hubspot.hubspot_change import Change, Moment
from store.people.outside_people import KEPT as KEPT
from store.people.outside_people import MOST as MOST

TASK_KEPT = timedelta(days=1)
"""How long a completed task waits until the step that made it has noted its id. Most are tasks of others."""


async def keep(tx: AsyncConnection, changes: Sequence[Change], now: datetime) -> int:
    """Keep changes; returns how many were not kept before."""
    ordered = sorted(changes, key=lambda one: one.moment.event_id)  # the same order everywhere prevents deadlocks
    values = {
        "event_id": [one.moment.event_id for one in ordered],
        "object_id": [one.object_id for one in ordered],
        "kind": [one.kind for one in ordered],
        "name": [one.name for one in ordered],
        "value": [one.value for one in ordered],
        "own": [one.own for one in ordered],
        "occurred_at": [one.moment.at for one in ordered],
        "now": now,
    }
    return (await tx.execute(_KEEP, values)).rowcount


async def take(tx: AsyncConnection, kind: Literal["contact", "task"], object_id: str) -> list[Change]:
    """Take out all kept changes of an object; the caller applies them."""
    rows = await tx.execute(_TAKE, {"kind": kind, "object": object_id})
    return [
        Change(Moment(row.occurred_at, row.event_id), object_id, row.name, row.value, row.own, kind) for row in rows
    ]


async def give_up(tx: AsyncConnection, now: datetime) -> int:
    """Delete the changes that waited too long, and those that are too many. Returns how many of contacts."""
    await tx.execute(_GIVE_UP_TASKS, {"before": now - TASK_KEPT})
    return (await tx.execute(_GIVE_UP, {"before": now - KEPT, "most": MOST})).rowcount


_KEEP = text(f"""
    INSERT INTO hubspot_waiting (event_id, object_id, kind, name, value, own, occurred_at, received_at)
    SELECT w.event_id, w.object_id, w.kind, w.name, w.value, w.own, w.occurred_at, :now
    FROM {
    many(
        "w",
        event_id="text",
        object_id="text",
        kind="text",
        name="text",
        value="text",
        own="boolean",
        occurred_at="timestamptz",
    )
} ORDER BY w.ord
    ON CONFLICT (event_id) DO NOTHING
""")
_TAKE = text("""
    DELETE FROM hubspot_waiting WHERE kind = :kind AND object_id = :object
    RETURNING event_id, name, value, own, occurred_at
""")
_GIVE_UP_TASKS = text("DELETE FROM hubspot_waiting WHERE kind = 'task' AND received_at <= :before")
_GIVE_UP = text("""
    DELETE FROM hubspot_waiting WHERE received_at <= greatest(
        CAST(:before AS timestamptz),
        (SELECT received_at FROM hubspot_waiting ORDER BY received_at DESC OFFSET :most LIMIT 1)
    )
""")
