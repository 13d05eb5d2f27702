"""Until when messages to a lead that sales has are held, and waking those that are held no longer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import many
from store.published import policies
from tracks.policy.sales import Hold

WITH_SALES = "with sales"
"""The reason of a message that waits, or is skipped, because of a handoff."""

HANDOFFS = """
    (SELECT jsonb_agg(jsonb_build_array(o.status, o.due_at, o.answered_at)) FROM handoff o
     WHERE o.contact_id = e.contact_id AND o.status IN ('waiting', 'accepted'))
"""
"""SQL for the handoffs of the contact of the enrollment `e` that `held_until` reads."""


def held_until(
    hold: Hold | None, track: str, handoffs: Sequence[Sequence[Any]] | None, now: datetime, pace: float = 1.0
) -> datetime | None:
    """Until when messages of the track are held (real time); None if they are not.

    A lead is with sales until the handoff is due, and after an answer of `accepted` for the policy's time.
    """
    if hold is None or not handoffs or not hold.covers(track):
        return None
    ends = [
        datetime.fromisoformat(due) if status == "waiting" else datetime.fromisoformat(at) + hold.after_accepted / pace
        for status, due, at in handoffs
    ]
    end = max(ends)
    return end if end > now else None


async def wake(tx: AsyncConnection, contact_id: str, now: datetime) -> int:
    """Signal the runs of the contact whose message waits longer than sales has the lead; returns how many.

    The caller holds the contact and has stored the answer. A claim locks the contact too, so it either sees the answer
    or has stored the waiting message by now. The run only asks again: whether the message goes is decided then.
    """
    rows = (await tx.execute(_HELD, {"contact": contact_id, "reason": WITH_SALES})).all()
    if not rows:
        return 0
    hold = (await policies.current(tx)).policy.sales.hold
    free = []
    for row in rows:
        end = held_until(hold, row.track, row.handoffs, now, row.pace)
        if end is None or end < row.due_at:
            free.append((row.enrollment_id, row.effect_key.partition("/")[2]))
    if not free:
        return 0
    ids, waits = zip(*free, strict=True)
    await tx.execute(_WAKE, {"id": list(ids), "met": list(waits), "change": new_id(), "now": now})
    return len(free)


_HELD = text(f"""
    SELECT CAST(m.enrollment_id AS text) AS enrollment_id, m.effect_key, m.track, m.due_at, e.pace,
        {HANDOFFS} AS handoffs
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id
    WHERE m.contact_id = :contact AND m.status = 'deferred' AND m.reason = :reason AND e.ended_at IS NULL
    ORDER BY m.id
""")
# The rest of a message's effect key, `<step>/<occurrence>`, is the name of its wait (`run_interface.met_key`).
_WAKE = text(f"""
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at, bulk)
    SELECT f.id, 'attributes',
        jsonb_build_object('change_id', CAST(:change AS text), 'names', '[]'::jsonb, 'met', f.met), :now, :now, false
    FROM {many("f", id="uuid", met="text")} ORDER BY f.ord
""")
