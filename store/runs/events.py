"""Accept events: store the event, its deliveries, the changes of segments and the enrollments that it begins.

All of it is one transaction.

An event to which nothing can react costs one statement and writes no outbox row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience import memberships
from store.audience.memberships import Change, Touch, Updated
from store.engine.errors import BusyError
from store.engine.sql import as_json_list, many, utc_now
from store.runs import awaited_conditions, drop_counts, event_deliveries
from store.runs.drop_counts import Drop
from store.runs.enrolling_by_event import REASONS, NotEnrolled, Reason, enter
from tracks.model.segment_changes import ENTERED, LEFT


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a contact did. The sender chooses `event_id`, unique among all events; the time is real time."""

    event_id: str
    contact_id: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many live enrollments can react to an event and how many it began, or why it was dropped.

    `not_enrolled` are the tracks into which it could have enrolled the contact.
    """

    matched: int = 0
    enrolled: int = 0
    duplicate: bool = False
    erased: bool = False
    not_enrolled: tuple[NotEnrolled, ...] = ()

    @property
    def dropped(self) -> Reason | Literal["erased"] | None:
        """Why the event had no effect although it is the entry event of a track; the first reason in `REASONS`."""
        if self.erased:
            return "erased"
        if self.matched or self.enrolled or not self.not_enrolled:
            return None
        return min((one.reason for one in self.not_enrolled), key=REASONS.index)


async def accept(tx: AsyncConnection, event: Event, *, now: datetime | None = None, pace: float = 1.0) -> Accepted:
    """Accept one event; see `accept_many`."""
    return (await accept_many(tx, [event], now=now, pace=pace))[0]


async def accept_many(
    tx: AsyncConnection, events: Sequence[Event], *, now: datetime | None = None, pace: float = 1.0, bulk: bool = False
) -> list[Accepted]:
    """Accept events in order; one answer each.

    An event id that was seen before (also within `events`) is a duplicate and changes nothing. An event of an unknown
    contact creates that contact, without an address; an event of an erased contact is dropped. `pace` is for the
    enrollments that entry rules begin; their properties are the event's. `bulk` puts these into the slow lane.

    A contact who enters or leaves a segment by these events does so after them; see `tell_changes`.
    """
    now = now or utc_now()
    results: list[Accepted | None] = [None] * len(events)
    first: dict[str, int] = {}
    for index, event in enumerate(events):
        if first.setdefault(event.event_id, index) != index:
            results[index] = Accepted(duplicate=True)
    fresh: list[_Fresh] = []
    waiting = sorted(first.values())
    for _ in range(5):
        waiting = await _store(tx, events, waiting, now, results, fresh)
        if not waiting:
            break
    else:
        raise BusyError("the same contacts kept being made and erased")
    fresh += await _segment_changes(tx, fresh, now, len(events))
    counts = await _apply(tx, sorted(fresh, key=lambda f: f.index), now, pace, bulk)
    changed = {item.event.contact_id for item in fresh if item.event.name in awaited_conditions.CHANGES_OF_FACTS}
    if changed:
        await awaited_conditions.wake(tx, changed, now, bulk=bulk)
    for index, accepted in counts.items():
        if index < len(events):
            results[index] = accepted
    answers = [answer for answer in results if answer is not None]
    await drop_counts.add(
        tx,
        [
            Drop(drop_counts.DUPLICATE, "event", count=sum(a.duplicate for a in answers)),
            Drop(drop_counts.ERASED, "event", count=sum(a.erased for a in answers)),
        ],
    )
    return answers


async def tell_changes(
    tx: AsyncConnection, updated: Updated, *, now: datetime | None = None, pace: float = 1.0, bulk: bool = False
) -> None:
    """Accept an event for each contact who entered or left a segment: `segment.entered`, `segment.left`.

    The event's id follows from the change, so that a change is told once.
    """
    told = _told(tx, updated)
    if told:
        await accept_many(tx, told, now=now, pace=pace, bulk=bulk)


def _told(tx: AsyncConnection, updated: Updated) -> list[Event]:
    drop_counts.count(tx, [Drop(drop_counts.NOT_JUDGED, "segment", name) for name in updated.not_judged])
    return [_event_of(change) for change in updated.changes]


def _event_of(change: Change) -> Event:
    # With the moment: a contact who comes back after an erasure begins to count again.
    moment = int(change.at.timestamp() * 1_000_000)
    return Event(
        event_id=f"segment:{change.segment}:{change.version}:{change.seq}:{moment}:{change.contact_id}",
        contact_id=change.contact_id,
        name=ENTERED if change.entered else LEFT,
        properties={"segment": change.segment, "version": change.version},
        occurred_at=change.at,
    )


@dataclass(frozen=True, slots=True)
class _Fresh:
    """An event stored just now, and what its name concerns: a live run (`reacts`), an entry rule (`enters`), a segment
    (`moves`). `made`: it also created its contact, and there are segments."""

    index: int
    event: Event
    reacts: bool
    enters: bool
    moves: bool
    made: bool

    @property
    def at(self) -> datetime:
        assert self.event.occurred_at is not None
        return self.event.occurred_at


async def _store(
    tx: AsyncConnection,
    events: Sequence[Event],
    indexes: list[int],
    now: datetime,
    results: list[Accepted | None],
    fresh: list[_Fresh],
) -> list[int]:
    """Insert these events; returns those to try again, because another transaction was creating their contact."""
    batch = [replace(events[i], occurred_at=events[i].occurred_at or now) for i in indexes]
    rows = await tx.execute(
        _STORE,
        {
            "event_id": [e.event_id for e in batch],
            "contact_id": [e.contact_id for e in batch],
            "name": [e.name for e in batch],
            "properties": as_json_list(e.properties for e in batch),
            "occurred_at": [e.occurred_at for e in batch],
            "now": now,
        },
    )
    again: list[int] = []
    for row in rows:
        index = indexes[row.ord - 1]
        if row.fresh:
            fresh.append(_Fresh(index, batch[row.ord - 1], row.reacts, row.enters, row.moves, row.made))
        elif row.known:
            results[index] = Accepted(duplicate=True)
        elif row.erased:
            results[index] = Accepted(erased=True)
        else:
            again.append(index)
    return sorted(again)


async def _segment_changes(tx: AsyncConnection, fresh: list[_Fresh], now: datetime, first: int) -> list[_Fresh]:
    """Store an event for each change of a segment that these events bring about; their indexes begin with `first`."""
    moving = [item for item in fresh if item.moves or item.made]
    if not moving:
        return []
    touched: dict[str, Touch] = {}
    for item in moving:
        known = touched.get(item.event.contact_id, Touch())
        names = known.events | ({item.event.name} if item.moves else frozenset())
        touched[item.event.contact_id] = Touch(names, created=known.created or item.made)
    told = _told(tx, await memberships.update(tx, touched, now))
    stored: list[_Fresh] = []
    if told:
        await _store(tx, told, list(range(len(told))), now, [None] * len(told), stored)
    return [replace(item, index=first + item.index) for item in stored]


async def _apply(
    tx: AsyncConnection, fresh: list[_Fresh], now: datetime, pace: float, bulk: bool
) -> dict[int, Accepted]:
    """Signal live runs and begin new ones, in the order of each contact's events.

    An event that may begin a run ends a round: later events of the contact are in the next round, so that the new run
    receives them.
    """
    counts = {f.index: Accepted() for f in fresh}
    rounds: dict[int, list[_Fresh]] = defaultdict(list)
    level: dict[str, int] = defaultdict(int)
    for item in fresh:
        number = level[item.event.contact_id]
        rounds[number].append(item if number == 0 else replace(item, reacts=True))
        level[item.event.contact_id] += item.enters
    for number in sorted(rounds):
        reacting = [item for item in rounds[number] if item.reacts]
        if reacting:
            told = await event_deliveries.tell_runs(tx, [(item.event, item.at) for item in reacting], now)
            for item, matched in zip(reacting, told, strict=True):
                counts[item.index] = replace(counts[item.index], matched=matched)
        entering = [item for item in rounds[number] if item.enters]
        if entering:
            entered = await enter(tx, [(item.event, item.at) for item in entering], now, pace, bulk)
            for item, one in zip(entering, entered, strict=True):
                counts[item.index] = replace(counts[item.index], enrolled=one.enrolled, not_enrolled=one.not_enrolled)
    return counts


_INPUT = many("i", event_id="text", contact_id="text", name="text", properties="text", occurred_at="timestamptz")
# The contact is locked (FOR KEY SHARE, as a foreign key would), so that no erasure happens in between. Rows are
# inserted in the order of their ids, so that two batches with the same events cannot deadlock.
_STORE = text(f"""
    WITH input AS (
        SELECT * FROM {_INPUT}
    ),
    held AS (
        SELECT id FROM contact WHERE id IN (SELECT contact_id FROM input) ORDER BY id FOR KEY SHARE
    ),
    stub AS (
        INSERT INTO contact (id, created_at, updated_at)
        SELECT DISTINCT i.contact_id, CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM input i
        WHERE NOT EXISTS (SELECT 1 FROM contact c WHERE c.id = i.contact_id)
            AND NOT EXISTS (SELECT 1 FROM erasure x WHERE x.contact_id = i.contact_id)
        ORDER BY 1
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ),
    person AS (SELECT id FROM held UNION ALL SELECT id FROM stub),
    stored AS (
        INSERT INTO event (event_id, contact_id, name, properties, occurred_at, received_at)
        SELECT i.event_id, i.contact_id, i.name, i.properties::jsonb, i.occurred_at, :now
        FROM input i JOIN person p ON p.id = i.contact_id ORDER BY i.event_id
        ON CONFLICT (event_id) DO NOTHING
        RETURNING event_id
    )
    SELECT i.ord, s.event_id IS NOT NULL AS fresh, p.id IS NOT NULL AS known,
        EXISTS (SELECT 1 FROM erasure x WHERE x.contact_id = i.contact_id) AS erased,
        EXISTS (
            SELECT 1 FROM enrollment e
            JOIN interest n ON n.track = e.track AND n.version = e.version AND n.event = i.name
            WHERE e.contact_id = i.contact_id AND e.ended_at IS NULL
        ) AS reacts,
        EXISTS (SELECT 1 FROM track t WHERE t.entry_event = i.name) AS enters,
        EXISTS (SELECT 1 FROM segment_trigger g WHERE g.event = i.name) AS moves,
        m.id IS NOT NULL AND EXISTS (SELECT 1 FROM segment_trigger) AS made
    FROM input i LEFT JOIN stored s ON s.event_id = i.event_id LEFT JOIN person p ON p.id = i.contact_id
        LEFT JOIN stub m ON m.id = i.contact_id
    ORDER BY i.ord
""")
