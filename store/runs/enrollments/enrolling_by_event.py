"""Enrol contacts by accepted events and the entry rules of the newest track versions, and tell why others are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.exclusions import exclusions_of
from store.audience import exclusions
from store.engine.sql import any_of, many
from store.published import policies
from store.published.entry_rules import EntryRule, Rules, rules_from_json
from store.published.policies import NEWEST
from store.runs import condition_checks, drop_counts
from store.runs.drop_counts import Drop
from store.runs.enrollments.enrolling import Enrolled, enroll_many
from store.runs.enrollments.enrollment_slots import Enrol
from store.schema.rows import Contact, columns, read_row
from tracks.model.sending import LATELY_AT_MOST, Lately
from tracks.policy.workspace_policy import NO_POLICY, Policy
from tracks.runs.bot_engagement import heard
from tracks.runs.event_matching import Happened, event_view
from tracks.shared.run_clock import Clock

Reason = Literal["bad-key", "no-key", "too-old", "reentry", "live", "unless", "machine", "condition"]
REASONS: tuple[Reason, ...] = ("bad-key", "no-key", "too-old", "reentry", "live", "unless", "machine", "condition")
"""Why an event does not enrol a contact. Reasons that the event's sender can fix come first:

- `bad-key`, `no-key`: the property for the track's `per` is no valid key, or is missing.
- `too-old`: the event happened longer ago than the track's `max_age`.
- `reentry`: the contact's last run has ended, and the track's rule does not let the contact in again.
- `live`: the contact is in the track already.
- `unless`: the entry, the track or the policy leaves the contact alone. `condition`: the entry's `where` is not true.
- `machine`: no person clicked or opened.
"""


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """A track into which the event could have enrolled the contact, and why it did not."""

    track: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Entered:
    """The result of one event for the entries of all tracks. `moves` are the entered tracks that segments name."""

    enrolled: int
    not_enrolled: tuple[NotEnrolled, ...]
    moves: tuple[str, ...] = ()


@dataclass(slots=True)
class _Asking:
    """One event and one entry of a track that is about it; `why` is set once the entry is refused."""

    index: int
    event: Happened
    at: datetime
    track: str
    rules: Rules
    entry: EntryRule
    why: Reason | None = None
    enrolled: bool = False
    moves: bool = False


async def enter(
    tx: AsyncConnection, events: Sequence[tuple[Happened, datetime]], now: datetime, pace: float, bulk: bool
) -> list[Entered]:
    """Enrol by these events, no two of which are about the same contact; returns a result for each, in order.

    Each event comes with the real time when it happened, and is stored already. `pace` is for the new enrollments,
    and `bulk` puts their starts into the slow lane.
    """
    rows = (await tx.execute(_DOORS, {"names": sorted({event.name for event, _ in events})})).all()
    doors = [(row.name, rules_from_json(row.rules)) for row in rows]
    policy = (await policies.of_version(tx, rows[0].policy)).policy if rows else NO_POLICY
    asking = [
        _Asking(index, event, at, track, rules, entry)
        for index, (event, at) in enumerate(events)
        for track, rules in doors
        for entry in rules.entries
        if _about(entry, event)
    ]
    for one in asking:
        if not heard(one.event.name, one.event.properties):
            one.why = "machine"
        elif one.entry.too_old(one.at, now):
            one.why = "too-old"
    await _by_condition(tx, asking, now)
    await _by_the_past(tx, asking, now, pace)
    asking = _one_for_each_track(asking)
    await _by_exclusions(tx, asking, policy, now, pace)
    await _by_rule(tx, asking, now, pace, bulk)
    _count(tx, asking)
    return [
        Entered(
            sum(one.enrolled for one in asking if one.index == index),
            tuple(NotEnrolled(one.track, one.why) for one in asking if one.index == index and one.why),
            tuple(one.track for one in asking if one.index == index and one.moves),
        )
        for index in range(len(events))
    ]


def _about(entry: EntryRule, event: Happened) -> bool:
    """Whether the entry is about such events: those of its name; of a date's moments, those of its date."""
    return entry.event == event.name and (entry.date is None or entry.date == event.properties.get("date"))


def _one_for_each_track(asking: list[_Asking]) -> list[_Asking]:
    """Of a track's entries that the event fits, the one written first; if it fits none, the one with the first reason
    in `REASONS`. So an event begins at most one run of a track."""
    chosen: dict[tuple[int, str], _Asking] = {}
    for one in asking:
        other = chosen.setdefault((one.index, one.track), one)
        if other.why and (one.why is None or REASONS.index(one.why) < REASONS.index(other.why)):
            chosen[one.index, one.track] = one
    return list(chosen.values())


def _left(asking: list[_Asking]) -> Iterator[_Asking]:
    return (one for one in asking if one.why is None)


async def _by_condition(tx: AsyncConnection, asking: list[_Asking], now: datetime) -> None:
    """Refuse entries whose `where` is not true, or whose `unless` is a condition that is true."""
    people: dict[str, Contact] = {}
    if any(one.entry.where or isinstance(one.entry.unless, str) for one in _left(asking)):
        people = await _people(tx, {one.event.contact_id for one in _left(asking)})
    for one in _left(asking):
        person, unless = people.get(one.event.contact_id), one.entry.unless
        context = {
            "contact": person.view() if person else None,
            "event": event_view(one.event, one.at),
            "now": now,
        }
        if not await condition_checks.holds(tx, one.entry.where, context, one.track):
            one.why = "condition"
        elif isinstance(unless, str) and await condition_checks.holds(tx, unless, context, one.track):
            one.why = "unless"


async def _by_the_past(tx: AsyncConnection, asking: list[_Asking], now: datetime, pace: float) -> None:
    """Refuse contacts who did the event that `unless` names, by one statement for all of them.

    An event that arrives together with the entry event counts too, and so does one that happened later but arrived
    earlier: nobody who has bought should be asked to buy.
    """
    asked = [(one, unless) for one in _left(asking) if isinstance(unless := one.entry.unless, Lately)]
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
        },
    )
    failed: set[tuple[str, str]] = set()
    for row in rows:
        one, unless = asked[row.ord - 1]
        context = {"event": event_view(row, row.occurred_at), "now": now}
        holding, why = condition_checks.judged(unless.where, context) if unless.where else (True, "")
        if holding:
            one.why = "unless"
        failed |= {(why, one.track)} if why else set()
    for why, track in sorted(failed):
        condition_checks.count(tx, why, "event", track)


async def _by_exclusions(
    tx: AsyncConnection, asking: list[_Asking], policy: Policy, now: datetime, pace: float
) -> None:
    """Refuse contacts whom the track or the policy leaves alone. The entry event itself does not count."""
    given = [
        (one, exclusions_of([*one.rules.excluded, *(policy.unless if one.rules.promotional else ())]))
        for one in _left(asking)
    ]
    asked = [(one, found) for one, found in given if found]
    if not asked:
        return
    people = await _people(tx, {one.event.contact_id for one, _ in asked})
    judging = [
        exclusions.Judging(people[one.event.contact_id], found, one.event.event_id)
        for one, found in asked
        if one.event.contact_id in people
    ]
    known = [one for one, _ in asked if one.event.contact_id in people]
    answers = await exclusions.judge(tx, judging, Clock.of(now, pace), now)
    for one, judged in zip(known, answers, strict=True):
        if judged.by is not None:
            one.why = "unless"
        elif judged.unknown:
            condition_checks.count(tx, drop_counts.NOT_JUDGED, "entry", one.track)


async def _people(tx: AsyncConnection, ids: set[str]) -> dict[str, Contact]:
    rows = await tx.execute(_PEOPLE, {"ids": sorted(ids)})
    return {row["id"]: read_row(Contact, row) for row in rows.mappings()}


async def _by_rule(tx: AsyncConnection, asking: list[_Asking], now: datetime, pace: float, bulk: bool) -> None:
    """Enrol the remaining contacts, as far as the tracks' re-entry rules allow it."""
    left = list(_left(asking))
    if not left:
        return
    wishes = [
        Enrol(
            one.track,
            one.event.contact_id,
            properties=one.event.properties,
            pace=pace,
            entry=one.entry.name,
            restart=True,
        )
        for one in left
    ]
    for one, result in zip(left, await enroll_many(tx, wishes, bulk=bulk, now=now), strict=True):
        one.enrolled, one.moves = result.outcome == "created", result.moves
        one.why = _refused(result)


def _refused(result: Enrolled) -> Reason | None:
    if result.outcome == "created":
        return None
    if result.outcome == "existing":
        return "live"
    return {"key_required": "no-key", "key_refused": "bad-key"}.get(str(result.refusal), "reentry")  # type: ignore[return-value]


def _count(tx: AsyncConnection, asking: list[_Asking]) -> None:
    """Count the refused entries, together with the transaction's next statement."""
    kinds = {"machine": "event"}  # the same kind as for events that a live run ignores
    drop_counts.count(tx, [Drop(one.why, kinds.get(one.why, "entry"), one.track) for one in asking if one.why])


_DOORS = text(f"""
    SELECT name, rules, {NEWEST} AS policy FROM track
    WHERE name IN (SELECT track FROM entry_rule WHERE event = {any_of("names")})
    ORDER BY name
""")
_PEOPLE = text(f"SELECT {columns(Contact, 'c')} FROM contact c WHERE id = {any_of('ids')}")
_ASKED = many("w", contact="text", itself="text", name="text", since="timestamptz", most="int")
_BEFORE = text(f"""
    SELECT w.ord, e.* FROM {_ASKED} CROSS JOIN LATERAL (
        SELECT event_id, contact_id, name, properties, occurred_at FROM event
        WHERE contact_id = w.contact AND name = w.name AND occurred_at > w.since AND event_id <> w.itself
        ORDER BY occurred_at DESC LIMIT w.most
    ) e
""")
