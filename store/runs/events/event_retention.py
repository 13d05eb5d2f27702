"""Delete events that are older than the policy keeps them, in small steps.

`event` is one table without partitions: names are kept for different times, and every window is read by one descent of
one index. docs/design/benchmarks.md has the figures of both ways.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.published import policies
from store.runs.events.accepted_event import Event
from tracks.policy.retention import FOREVER, SHORTEST

AT_ONCE = 500
"""Events that one step reads, and deletes at most."""
MARGIN = timedelta(hours=1)
"""An event is deleted so much later than the policy says, because clocks differ: until then its id is still known, and
afterwards it is too old to be accepted."""
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Position:
    """How far one pass over the names has come: to this event, or with `at` None to the end of this name."""

    name: str = ""
    at: datetime | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did. `position` is where the next one begins; None: the pass is over."""

    position: Position | None
    deleted: int = 0


async def delete_step(tx: AsyncConnection, position: Position, now: datetime, *, limit: int = AT_ONCE) -> Step:
    """Delete the next events that are past their time.

    These stay: events that happened later than they were accepted for so long, and events that a live run of their
    contact may have matched, because its texts may read them until it ends. Rows that another transaction has locked
    are left to the next pass.
    """
    retention = (await policies.current(tx)).policy.retention.events
    if not retention.deletes:
        return Step(None)
    name, at, event_id = position.name, position.at, position.event_id
    if at is None:
        following = (await tx.execute(_NEXT_NAME, {"after": name})).scalar_one_or_none()
        if following is None:
            return Step(None)
        name, at, event_id = following, _EARLIEST, ""
    kept = retention.of(name)
    if kept == FOREVER or now - _EARLIEST <= kept + MARGIN:
        return Step(Position(name))
    asked = {"name": name, "at": at, "id": event_id, "before": now - kept - MARGIN, "limit": limit}
    row = (await tx.execute(_DELETE, asked)).one()
    last = Position(name) if row.seen < limit else Position(name, row.at, row.event_id)
    return Step(last, row.deleted)


async def expired(tx: AsyncConnection, events: Collection[Event], now: datetime) -> set[str]:
    """The ids of those events that are older than events of their name are kept.

    They are not stored: whether such an id was accepted before is not known any more. Costs nothing unless one of the
    events is older than the shortest retention.
    """
    old = [one for one in events if one.occurred_at is not None and one.occurred_at < now - SHORTEST]
    if not old:
        return set()
    retention = (await policies.current(tx)).policy.retention.events
    before = await deleted_before(tx, {one.name for one in old})
    return {one.event_id for one in old if one.occurred_at and _is_expired(one, retention.of(one.name), before, now)}


def _is_expired(event: Event, kept: timedelta, before: Mapping[str, datetime], now: datetime) -> bool:
    assert event.occurred_at is not None
    deleted = before.get(event.name)
    return now - event.occurred_at > kept or (deleted is not None and event.occurred_at < deleted)


async def deleted_before(tx: AsyncConnection, names: Collection[str]) -> Mapping[str, datetime]:
    """Until when events of these names may have been deleted, of those of which any were."""
    rows = await tx.execute(_BEFORE, {"names": sorted(names)})
    return {row.name: row.before for row in rows}


async def deleted_counts(tx: AsyncConnection) -> Mapping[str, int]:
    """How many events were deleted in all, by name."""
    return {row.name: row.deleted for row in await tx.execute(_COUNTS)}


_NEXT_NAME = text("SELECT name FROM event WHERE name > :after ORDER BY name LIMIT 1")
# Rows are taken with SKIP LOCKED: a merge or an erasure locks a contact's events while it holds the contact, and must
# not wait for a step that holds some of them. An event enters `interest` by the version that its run is on.
_DELETE = text("""
    WITH seen AS MATERIALIZED (
        SELECT event_id, contact_id, received_at, occurred_at FROM event
        WHERE name = :name AND received_at < :before AND (received_at, event_id) > (:at, :id)
        ORDER BY received_at, event_id LIMIT :limit
    ),
    taken AS (
        SELECT event_id FROM event e
        WHERE event_id IN (
            SELECT s.event_id FROM seen s WHERE s.occurred_at < :before AND NOT EXISTS (
                SELECT FROM enrollment r JOIN interest n ON n.track = r.track AND n.version = r.version
                WHERE r.contact_id = s.contact_id AND r.ended_at IS NULL AND r.created_at <= s.received_at
                    AND n.event = :name
            )
        )
        FOR UPDATE SKIP LOCKED
    ),
    gone AS (DELETE FROM event WHERE event_id IN (SELECT event_id FROM taken) RETURNING event_id),
    noted AS (
        INSERT INTO deleted_events AS d (name, before, count)
        SELECT :name, :before, count(*) FROM gone HAVING count(*) > 0
        ON CONFLICT (name) DO UPDATE
        SET before = greatest(d.before, excluded.before), count = d.count + excluded.count
    ),
    last AS (SELECT received_at, event_id FROM seen ORDER BY received_at DESC, event_id DESC LIMIT 1)
    SELECT (SELECT count(*) FROM seen) AS seen, (SELECT count(*) FROM gone) AS deleted,
        (SELECT received_at FROM last) AS at, (SELECT event_id FROM last) AS event_id
""")
_BEFORE = text(f"SELECT name, before FROM deleted_events WHERE name = {any_of('names')}")
_COUNTS = text("SELECT name, count AS deleted FROM deleted_events ORDER BY name")
