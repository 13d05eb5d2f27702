"""Whom an accepted event enrols by the entry rules of the newest track versions, and whom it does not, with why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, many
from store.published.entry_rules import Rules, rules_from_json
from store.runs import dropped, event_matching
from store.runs.dropped import Drop
from store.runs.enrolling import Enrolled, enroll_many
from store.runs.enrollment_slots import Enrol
from store.schema.rows import Contact, columns, read_row
from tracks.model.sending import CLOCKS, LATELY_AT_MOST, Lately
from tracks.program.engagement import heard
from tracks.program.interests import Happened, event_view

Reason = Literal["bad-key", "no-key", "too-old", "reentry", "live", "unless", "machine", "condition"]
REASONS: tuple[Reason, ...] = ("bad-key", "no-key", "too-old", "reentry", "live", "unless", "machine", "condition")
"""Why an event does not enrol somebody, the one first that its sender can do most about:

- `bad-key`, `no-key`: the property that the track has one run per cannot be a key, or is not there.
- `too-old`: it happened longer ago than the track's `max_age`.
- `reentry`: the contact has been through, and the track's rule does not let them in again.
- `live`: they are on the track.
- `unless`, `condition`: the entry's `unless` holds, or its `where` does not.
- `machine`: no person clicked or opened.
"""


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """A track that the event could have enrolled somebody in, and why it did not."""

    track: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Entered:
    """What one event came to at the doors of all tracks."""

    enrolled: int
    not_enrolled: tuple[NotEnrolled, ...]


@dataclass(slots=True)
class _Asking:
    """One event at one track's door; `why` once it is known that it does not pass."""

    index: int
    event: Happened
    at: datetime
    track: str
    rules: Rules
    why: Reason | None = None
    enrolled: bool = False


async def enter(
    tx: AsyncConnection, events: Sequence[tuple[Happened, datetime]], now: datetime, pace: float
) -> list[Entered]:
    """Enrol by these events, of which no two are of one contact; answers each in order.

    They come with the real time they happened at, and are stored already. `pace` is that of the enrollments.
    """
    rows = await tx.execute(_DOORS, {"names": sorted({event.name for event, _ in events})})
    doors = [(row.name, rules_from_json(row.rules)) for row in rows]
    asking = [
        _Asking(index, event, at, track, rules)
        for index, (event, at) in enumerate(events)
        for track, rules in doors
        if rules.entry_event == event.name
    ]
    for one in asking:
        if not heard(one.event.name, one.event.properties):
            one.why = "machine"
        elif one.rules.entry_max_age is not None and now - one.at > one.rules.entry_max_age:
            one.why = "too-old"
    await _by_condition(tx, asking, now)
    await _by_the_past(tx, asking, now, pace)
    await _by_rule(tx, asking, now, pace)
    _count(tx, asking)
    return [
        Entered(
            sum(one.enrolled for one in asking if one.index == index),
            tuple(NotEnrolled(one.track, one.why) for one in asking if one.index == index and one.why),
        )
        for index in range(len(events))
    ]


def _left(asking: list[_Asking]) -> Iterator[_Asking]:
    return (one for one in asking if one.why is None)


async def _by_condition(tx: AsyncConnection, asking: list[_Asking], now: datetime) -> None:
    """Turn away those for whom `where` does not hold, or a condition of `unless` does."""
    people: dict[str, Contact] = {}
    if any(one.rules.entry_where or isinstance(one.rules.entry_unless, str) for one in _left(asking)):
        rows = await tx.execute(_PEOPLE, {"ids": sorted({one.event.contact_id for one in _left(asking)})})
        people = {row["id"]: read_row(Contact, row) for row in rows.mappings()}
    for one in _left(asking):
        person, unless = people.get(one.event.contact_id), one.rules.entry_unless
        context = {
            "contact": person.view() if person else None,
            "event": event_view(one.event, one.at),
            "now": now,
        }
        if not await event_matching.holds(tx, one.rules.entry_where, context, one.track):
            one.why = "condition"
        elif isinstance(unless, str) and await event_matching.holds(tx, unless, context, one.track):
            one.why = "unless"


async def _by_the_past(tx: AsyncConnection, asking: list[_Asking], now: datetime, pace: float) -> None:
    """Turn away who did before what `unless` names: one statement for all of them.

    What is told together with the event, or happened after it and was told before, counts as well: nobody who has
    bought is to be asked whether they will.
    """
    asked = [(one, unless) for one in _left(asking) if isinstance(unless := one.rules.entry_unless, Lately)]
    if not asked:
        return
    rows = await tx.execute(
        _BEFORE,
        {
            "contact": [one.event.contact_id for one, _ in asked],
            "itself": [one.event.event_id for one, _ in asked],
            "name": [unless.event for _, unless in asked],
            "since": [one.at - unless.within / pace for one, unless in asked],
            "most": [LATELY_AT_MOST if unless.where else 1 for _, unless in asked],
            "clocks": CLOCKS,
        },
    )
    failed: set[tuple[str, str]] = set()
    for row in rows:
        one, unless = asked[row.ord - 1]
        context = {"event": event_view(row, row.occurred_at), "now": now}
        holding, why = event_matching.judged(unless.where, context) if unless.where else (True, "")
        if holding:
            one.why = "unless"
        failed |= {(why, one.track)} if why else set()
    for why, track in sorted(failed):
        event_matching.count(tx, why, "event", track)


async def _by_rule(tx: AsyncConnection, asking: list[_Asking], now: datetime, pace: float) -> None:
    """Enrol those who are left, as the tracks' re-entry rules let them."""
    left = list(_left(asking))
    if not left:
        return
    wishes = [
        Enrol(one.track, one.event.contact_id, properties=one.event.properties, pace=pace, restart=True) for one in left
    ]
    for one, result in zip(left, await enroll_many(tx, wishes, now=now), strict=True):
        one.enrolled = result.outcome == "created"
        one.why = _refused(result)


def _refused(result: Enrolled) -> Reason | None:
    if result.outcome == "created":
        return None
    if result.outcome == "existing":
        return "live"
    return {"key_required": "no-key", "key_refused": "bad-key"}.get(str(result.refusal), "reentry")  # type: ignore[return-value]


def _count(tx: AsyncConnection, asking: list[_Asking]) -> None:
    """Count who was turned away, along with whatever the transaction does next."""
    kinds = {"machine": "event"}  # as where a run does not count it
    dropped.count(tx, [Drop(one.why, kinds.get(one.why, "entry"), one.track) for one in asking if one.why])


_DOORS = text(f"SELECT name, rules FROM track WHERE entry_event = {any_of('names')} ORDER BY name")
_PEOPLE = text(f"SELECT {columns(Contact, 'c')} FROM contact c WHERE id = {any_of('ids')}")
_ASKED = many("w", contact="text", itself="text", name="text", since="timestamptz", most="int")
_BEFORE = text(f"""
    SELECT w.ord, e.* FROM {_ASKED} CROSS JOIN LATERAL (
        SELECT event_id, contact_id, name, properties, occurred_at FROM event
        WHERE contact_id = w.contact AND name = w.name AND occurred_at > w.since
            AND received_at > w.since - CAST(:clocks AS interval) AND event_id <> w.itself
        ORDER BY received_at DESC LIMIT w.most
    ) e
""")
