"""Events that were told before they happen: kept, and accepted when their time comes.

Each is accepted once: the transaction that accepts it takes it out of the table. If the same id was accepted
meanwhile, without a time or by another process, it is a duplicate like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.errors import BusyError
from store.engine.sql import any_of, as_json_list, many, utc_now
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.events import events
from store.runs.events.acceptance import Accepted
from store.runs.events.accepted_event import Event
from store.schema.merged_ids import survivor_of

LONGEST = timedelta(days=30)
"""How far ahead an event may be told."""
TOLERANCE = timedelta(minutes=1)
"""An event less than this ahead counts as now, because clocks differ."""
AT_ONCE = 64
"""Events that are accepted in one transaction."""
_TRIES = 5


async def keep(tx: AsyncConnection, told: Sequence[Event], *, now: datetime | None = None) -> list[Accepted]:
    """Keep events until their time; one answer each, whose `waits_until` is that time.

    An id that waits already, or was accepted before, is a duplicate. An event of an erased contact is dropped. Raises
    ValueError for an event without a time.
    """
    now = now or utc_now()
    results: list[Accepted | None] = [None] * len(told)
    first: dict[str, int] = {}
    for index, event in enumerate(told):
        if event.occurred_at is None:
            raise ValueError(f"{event.event_id} has no time")
        if first.setdefault(event.event_id, index) != index:
            results[index] = Accepted(duplicate=True)
    waiting = sorted(first.values())
    for _ in range(_TRIES):
        if waiting:
            waiting = await _keep(tx, told, waiting, now, results)
    if waiting:
        raise BusyError("the same contacts kept being made and erased")
    answers = [answer for answer in results if answer is not None]
    await drop_counts.add(
        tx,
        [
            Drop(drop_counts.DUPLICATE, "event", count=sum(a.duplicate for a in answers)),
            Drop(drop_counts.ERASED, "event", count=sum(a.erased for a in answers)),
        ],
    )
    return answers


async def _keep(
    tx: AsyncConnection, told: Sequence[Event], indexes: Sequence[int], now: datetime, results: list[Accepted | None]
) -> list[int]:
    """Insert these events; returns those to try again, because their contact was erased or merged at this moment."""
    batch = [told[index] for index in indexes]
    rows = await tx.execute(
        _KEEP,
        {
            "event_id": [one.event_id for one in batch],
            "contact_id": [one.contact_id for one in batch],
            "name": [one.name for one in batch],
            "properties": as_json_list(one.properties for one in batch),
            "occurred_at": [one.occurred_at for one in batch],
            "now": now,
        },
    )
    again: list[int] = []
    for row in rows:
        index = indexes[row.ord - 1]
        merged = row.contact_id if row.contact_id != told[index].contact_id else None
        if row.erased:
            results[index] = Accepted(erased=True)
        elif row.kept:
            results[index] = Accepted(waits_until=told[index].occurred_at, merged_into=merged)
        elif row.settled:
            results[index] = Accepted(duplicate=True, merged_into=merged)
        else:
            again.append(index)
    return again


async def accept_due(tx: AsyncConnection, now: datetime, *, pace: float = 1.0, most: int = AT_ONCE) -> list[str]:
    """Accept the next events whose time has come; returns their ids. One process at a time does it.

    The rows are not locked before their contacts: an erasure or a merge holds a contact and then changes its rows.
    """
    if not (await tx.execute(_ANY_DUE, {"now": now})).scalar_one():
        return []
    if not (await tx.execute(_ALONE, {"key": _LOCK})).scalar_one():
        return []
    rows = (await tx.execute(_DUE, {"now": now, "most": most})).all()
    due = [Event(row.event_id, row.contact_id, row.name, row.properties, row.occurred_at) for row in rows]
    if due:
        await events.accept_many(tx, due, now=now, pace=pace)
        await tx.execute(_TAKEN, {"ids": [one.event_id for one in due]})
    return [one.event_id for one in due]


async def next_due(tx: AsyncConnection, now: datetime) -> str | None:
    """The id of the event that is accepted next; None if none is due."""
    return (await tx.execute(_FIRST, {"now": now})).scalar_one_or_none()


async def postpone(tx: AsyncConnection, event_id: str, until: datetime) -> None:
    """Try an event again at that moment: it could not be accepted."""
    await tx.execute(_POSTPONE, {"id": event_id, "until": until})


async def backlog(tx: AsyncConnection, now: datetime) -> tuple[int, datetime | None]:
    """How many events wait for their time, and the moment of the first one that should have been accepted by now."""
    row = (await tx.execute(_BACKLOG, {"now": now})).one()
    return row.waiting, row.late


async def overdue(tx: AsyncConnection, before: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Events that should have been accepted before that moment: their ids and times, the oldest first."""
    return [(row.event_id, row.occurred_at) for row in await tx.execute(_OVERDUE, {"before": before, "limit": limit})]


_LOCK = 0x6675_7475_7265
_INPUT = many("i", event_id="text", contact_id="text", name="text", properties="text", occurred_at="timestamptz")
# The contact is locked as in `events`: an erasure that holds it deletes the rows that wait, so none may be added. A
# contact that exists for this statement but cannot be locked is being erased or merged: the event is tried again.
_KEEP = text(f"""
    WITH input AS (
        SELECT i.event_id, {survivor_of("i.contact_id")} AS contact_id, i.name, i.properties, i.occurred_at, i.ord
        FROM {_INPUT}
    ),
    held AS (SELECT id FROM contact WHERE id IN (SELECT contact_id FROM input) ORDER BY id FOR KEY SHARE),
    judged AS (
        SELECT i.*, EXISTS (SELECT FROM erasure x WHERE x.contact_id = i.contact_id) AS erased,
            EXISTS (SELECT FROM event e WHERE e.event_id = i.event_id) AS accepted,
            i.contact_id IN (SELECT id FROM held)
                OR NOT EXISTS (SELECT FROM contact c WHERE c.id = i.contact_id) AS free
        FROM input i
    ),
    kept AS (
        INSERT INTO future_event (event_id, contact_id, name, properties, occurred_at, received_at, due_at)
        SELECT event_id, contact_id, name, properties::jsonb, occurred_at, :now, occurred_at FROM judged
        WHERE free AND NOT erased AND NOT accepted ORDER BY event_id
        ON CONFLICT (event_id) DO NOTHING
        RETURNING event_id
    )
    SELECT j.ord, j.contact_id, j.erased, k.event_id IS NOT NULL AS kept, j.free OR j.accepted AS settled
    FROM judged j LEFT JOIN kept k ON k.event_id = j.event_id ORDER BY j.ord
""")
_ANY_DUE = text("SELECT EXISTS (SELECT FROM future_event WHERE due_at <= :now)")
_ALONE = text("SELECT pg_try_advisory_xact_lock(:key)")
_DUE = text("""
    SELECT event_id, contact_id, name, properties, occurred_at FROM future_event
    WHERE due_at <= :now ORDER BY due_at, event_id LIMIT :most
""")
_FIRST = text("SELECT event_id FROM future_event WHERE due_at <= :now ORDER BY due_at, event_id LIMIT 1")
_TAKEN = text(f"DELETE FROM future_event WHERE event_id = {any_of('ids')}")
_POSTPONE = text("UPDATE future_event SET due_at = :until WHERE event_id = :id")
_BACKLOG = text("""
    SELECT count(*) AS waiting, min(occurred_at) FILTER (WHERE occurred_at <= :now) AS late FROM future_event
""")
_OVERDUE = text("""
    SELECT event_id, occurred_at FROM future_event WHERE due_at < :before ORDER BY due_at, event_id LIMIT :limit
""")
