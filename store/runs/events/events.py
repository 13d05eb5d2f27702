"""Accept events: store the event, its deliveries, the changes of segments and grades, and new enrollments.

All of it is one transaction.

An event to which nothing can react costs one statement and writes no outbox row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.memberships import memberships
from store.audience.memberships.memberships import Change, Updated
from store.engine.errors import BusyError
from store.engine.sql import any_of, utc_now
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.enrollments.enrolling_by_event import enter
from store.runs.events import awaited_conditions, event_deliveries, event_retention
from store.runs.events.acceptance import Accepted as Accepted
from store.runs.events.accepted_event import Event as Event
from store.runs.events.accepted_event import event_of, event_of_grade
from store.runs.events.segment_touches import Stored, by_events, by_runs
from store.runs.events.storing import Fresh, store_events


async def accept(tx: AsyncConnection, event: Event, *, now: datetime | None = None, pace: float = 1.0) -> Accepted:
    """Accept one event; see `accept_many`."""
    return (await accept_many(tx, [event], now=now, pace=pace))[0]


async def accept_many(
    tx: AsyncConnection, events: Sequence[Event], *, now: datetime | None = None, pace: float = 1.0, bulk: bool = False
) -> list[Accepted]:
    """Accept events in order; one answer each.

    An event id that was seen before (also within `events`) is a duplicate and changes nothing. An event of an unknown
    contact creates that contact, without an address; an event of an erased contact is dropped, and so is one that is
    older than events of its name are kept. An id that was merged stands for the surviving contact. `pace` is for the
    enrollments that entry rules begin; their properties are the event's. `bulk` puts these into the slow lane.

    A contact who enters or leaves a segment by these events does so after them; see `tell_changes`.
    """
    now = now or utc_now()
    results: list[Accepted | None] = [None] * len(events)
    first: dict[str, int] = {}
    for index, event in enumerate(events):
        if first.setdefault(event.event_id, index) != index:
            results[index] = Accepted(duplicate=True)
    fresh: list[Fresh] = []
    for event_id in await event_retention.expired(tx, [events[index] for index in first.values()], now):
        results[first.pop(event_id)] = Accepted(expired=True)
    waiting = sorted(first.values())
    for _ in range(5):
        waiting = await store_events(tx, events, waiting, now, results, fresh)
        if not waiting:
            break
    else:
        raise BusyError("the same contacts kept being made and erased")
    await _take_turns(tx, fresh)
    updated = await _update_audience(tx, fresh, now)
    fresh += await _store_changes(tx, updated, now, len(events))
    counts, entered = await _apply(tx, sorted(fresh, key=lambda f: f.index), now, pace, bulk)
    changed = {item.event.contact_id for item in fresh if item.event.name in awaited_conditions.CHANGES_OF_FACTS}
    if changed:
        await awaited_conditions.wake(tx, changed, now, bulk=bulk)
    changes = [*updated.changes, *await _tell_entered(tx, entered, now, pace, bulk)]
    survivors = {f.index: f.event.contact_id for f in fresh}
    for index, accepted in counts.items():
        if index < len(events):
            contact_id = survivors[index]
            own = tuple(change for change in changes if change.contact_id == contact_id and change.reached is None)
            merged = contact_id if contact_id != events[index].contact_id else None
            results[index] = replace(accepted, segments=own, merged_into=merged)
    answers = [answer for answer in results if answer is not None]
    await drop_counts.add(
        tx,
        [
            Drop(drop_counts.DUPLICATE, "event", count=sum(a.duplicate for a in answers)),
            Drop(drop_counts.ERASED, "event", count=sum(a.erased for a in answers)),
            Drop(drop_counts.EXPIRED, "event", count=sum(a.expired for a in answers)),
        ],
    )
    return answers


async def tell_changes(
    tx: AsyncConnection, updated: Updated, *, now: datetime | None = None, pace: float = 1.0, bulk: bool = False
) -> None:
    """Accept an event for each contact who entered or left a segment, whose grade changed or whose date has come:
    `segment.entered`, `segment.left`, `score.graded`, `date.reached`.

    The event's id follows from the change, so that a change is told once.
    """
    told = _told(tx, updated)
    if told:
        await accept_many(tx, told, now=now, pace=pace, bulk=bulk)


def _told(tx: AsyncConnection, updated: Updated) -> list[Event]:
    drop_counts.count(tx, [Drop(drop_counts.NOT_JUDGED, "segment", name) for name in updated.not_judged])
    drop_counts.count(tx, [Drop(drop_counts.NOT_JUDGED, "score", name) for name in updated.not_scored])
    return [*map(event_of_grade, updated.graded), *map(event_of, updated.changes)]


async def _take_turns(tx: AsyncConnection, fresh: list[Fresh]) -> None:
    """Lock the contacts of events that are the goal and the entry of one track.

    Of two such events at the same moment, each would miss the run that the other begins. Who will be locked for their
    segments and scores is locked here too, so that all are locked in one order.
    """
    if any(item.turns for item in fresh):
        ids = {item.event.contact_id for item in fresh if item.turns or item.concerns_audience}
        await tx.execute(_TAKE_TURNS, {"ids": sorted(ids)})
        fresh[:] = [replace(item, reacts=True) if item.turns else item for item in fresh]


async def _update_audience(tx: AsyncConnection, fresh: list[Fresh], now: datetime) -> Updated:
    """Bring the segments and scores up to date that these events concern.

    Contacts who may begin a run of a track that a segment names are locked here with the others: later, two
    transactions could wait for each other.
    """
    concerned = [item for item in fresh if item.concerns_audience]
    if not concerned:
        return Updated((), ())
    touched = by_events(
        Stored(one.event.contact_id, one.event.event_id, one.event.name, one.at, one.moves, one.scores, one.made)
        for one in concerned
    )
    return await memberships.update(tx, touched, now)


async def _store_changes(tx: AsyncConnection, updated: Updated, now: datetime, first: int) -> list[Fresh]:
    """Store an event for each change of a segment or a grade; their indexes begin with `first`."""
    told = _told(tx, updated)
    stored: list[Fresh] = []
    if told:
        await store_events(tx, told, list(range(len(told))), now, [None] * len(told), stored)
    return [replace(item, index=first + item.index) for item in stored]


async def _tell_entered(
    tx: AsyncConnection, entered: Mapping[str, frozenset[str]], now: datetime, pace: float, bulk: bool
) -> Sequence[Change]:
    """Bring the segments up to date that name the tracks which these contacts have entered; returns all changes."""
    if not entered:
        return ()
    updated = await memberships.update(tx, by_runs(entered), now)
    await tell_changes(tx, updated, now=now, pace=pace, bulk=bulk)
    return updated.changes


async def _apply(
    tx: AsyncConnection, fresh: list[Fresh], now: datetime, pace: float, bulk: bool
) -> tuple[dict[int, Accepted], dict[str, frozenset[str]]]:
    """Signal live runs and begin new ones, in the order of each contact's events.

    Returns what each event did; and the tracks that segments name and that contacts have entered.

    An event that may begin a run ends a round: later events of the contact are in the next round, so that the new run
    receives them.
    """
    counts = {f.index: Accepted() for f in fresh}
    rounds: dict[int, list[Fresh]] = defaultdict(list)
    level: dict[str, int] = defaultdict(int)
    moved: dict[str, frozenset[str]] = defaultdict(frozenset)
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
                if one.moves:
                    moved[item.event.contact_id] |= frozenset(one.moves)
    return counts, moved


_TAKE_TURNS = text(f"SELECT FROM contact WHERE id = {any_of('ids')} ORDER BY id FOR NO KEY UPDATE")
