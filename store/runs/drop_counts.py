"""Count what was dropped, and why. Rows are only inserted: with counter rows, writers would wait for each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import many
from store.schema.tables.runs.run_tables import dropped

DUPLICATE = "duplicate"
LATE = "late"
NOT_ENROLLED = "no longer enrolled"
ERASED = "erased"
EXPIRED = "expired"
"""An event that is older than events of its name are kept (`store.runs.events.event_retention`)."""
NOT_A_PERSON = "machine"
"""A click or open by a machine that the track does not count (`tracks.runs.bot_engagement`)."""
CONDITION = "condition"
"""A condition over too much data, or one that would take too much work; it counts as false. If it could not be computed
for another reason, `: ` and that reason follow."""

TOO_SOON = "too-soon"
"""An `enroll` step for a contact who entered that track only recently."""

TOO_LARGE = "too large"
"""A property of an event that was too large for a run's history (`tracks.runs.history_bounds`)."""

NOT_JUDGED = "not judged"
"""A contact who could not be judged for a segment or a score, because of too many events or too much data; `track` is
the segment or the score."""


@dataclass(frozen=True, slots=True)
class Drop:
    """`count` dropped things of one `kind`: event, outbox, message, branch, signal, property, segment, score."""

    reason: str
    kind: str
    track: str | None = None
    count: int = 1


async def add(tx: AsyncConnection, drops: Iterable[Drop]) -> None:
    """Count these drops."""
    rows = [{"reason": d.reason, "kind": d.kind, "track": d.track, "count": d.count} for d in drops if d.count]
    if rows:
        await tx.execute(insert(dropped), rows)


def count(tx: AsyncConnection, drops: Iterable[Drop]) -> None:
    """Count these drops together with the next statement of the transaction, so without a round trip."""
    counts: Counter[tuple[str, str, str | None]] = Counter()
    for drop in drops:
        counts[drop.reason, drop.kind, drop.track] += drop.count
    if counts:
        reasons, kinds, tracks = zip(*counts, strict=True)
        values = {"reason": list(reasons), "kind": list(kinds), "track": list(tracks), "count": list(counts.values())}
        later(tx, _COUNT, values)


async def compact(tx: AsyncConnection) -> None:
    """Merge rows that differ only in their counts, so that totals stay cheap to read. One process at a time."""
    await tx.execute(_COMPACT)


async def totals(tx: AsyncConnection) -> list[Drop]:
    """All drops ever counted, by reason, kind and track."""
    keys = (dropped.c.reason, dropped.c.kind, dropped.c.track)
    statement = select(*keys, func.sum(dropped.c.count)).group_by(*keys).order_by(*keys)
    return [Drop(reason, kind, track, int(number)) for reason, kind, track, number in await tx.execute(statement)]


_COUNTS = many("d", reason="text", kind="text", track="text", count="int")
_COUNT = text(f"""
    INSERT INTO dropped (reason, kind, track, count) SELECT reason, kind, track, count FROM {_COUNTS} ORDER BY ord
""")
# Rows with very large counts are not merged: the sum might not fit into one row.
_COMPACT = text("""
    WITH gone AS (
        DELETE FROM dropped WHERE count < 1000000000 RETURNING reason, kind, track, count, at
    )
    INSERT INTO dropped (reason, kind, track, count, at)
    SELECT reason, kind, track, sum(count), max(at) FROM gone GROUP BY reason, kind, track
""")
