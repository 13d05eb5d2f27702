"""Counting what was dropped, and why. Rows are only ever added: a counter row would make writers queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.tables import dropped

DUPLICATE = "duplicate"
LATE = "late"
NOT_ENROLLED = "no longer enrolled"
ERASED = "erased"
NOT_A_PERSON = "machine"
"""A click or an open by whom the track does not count (`tracks.touches`)."""
CONDITION = "condition"
"""A condition over too much data, or that would take too much work over it: false. Followed by `: ` and why where it
met what it could not compute."""

TOO_LARGE = "too large"
"""A property of an event that would not fit into a run's history (`tracks.bounds`)."""


@dataclass(frozen=True, slots=True)
class Drop:
    """`count` things of a `kind` that went nowhere: event, outbox, message, branch, signal, property."""

    reason: str
    kind: str
    track: str | None = None
    count: int = 1


async def add(tx: AsyncConnection, drops: Iterable[Drop]) -> None:
    """Count them."""
    rows = [{"reason": d.reason, "kind": d.kind, "track": d.track, "count": d.count} for d in drops if d.count]
    if rows:
        await tx.execute(insert(dropped), rows)


async def totals(tx: AsyncConnection) -> list[Drop]:
    """All that was ever dropped, by reason, kind and track."""
    keys = (dropped.c.reason, dropped.c.kind, dropped.c.track)
    statement = select(*keys, func.sum(dropped.c.count)).group_by(*keys).order_by(*keys)
    return [Drop(reason, kind, track, int(count)) for reason, kind, track, count in await tx.execute(statement)]
