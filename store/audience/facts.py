"""What is stored of contacts, as segments see it: a contact and what they did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Result, text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Fact, Facts
from audience.segments.members import ContactLeaf, Members, leaves
from audience.segments.probes import Probe, probes
from store.engine.driver_sql import Rows, together
from store.engine.pipeline import Statement
from store.engine.sql import any_of, many
from store.schema.rows import Contact, columns, read_row

MAX_EVENTS = 2_000
"""Events of one contact and one name that an evaluation reads. A contact with more of them cannot be judged."""
AGAIN = timedelta(days=1)
"""When a contact who could not be judged is looked at again: events may have left the windows by then."""
CATCH_UP = 200
"""Changes of one contact that are told one by one after an outage, and events that are read for it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Contacts drawn at random, and how many contacts there are; all of them where they are few."""

    contacts: Sequence[Contact]
    total: int
    complete: bool


async def sample(tx: AsyncConnection, size: int) -> Sample:
    """About `size` contacts at random; all of them if there are at most so many.

    Each contact is drawn by itself (`BERNOULLI`): whole blocks of the table would be contacts of the same age.
    """
    total = int((await tx.execute(text("SELECT count(*) FROM contact"))).scalar_one())
    complete = total <= size
    share = "" if complete else f"TABLESAMPLE BERNOULLI ({100 * size / total})"
    rows = await tx.execute(text(f"SELECT {columns(Contact, 'c')} FROM contact c {share} ORDER BY c.id"))
    return Sample([read_row(Contact, row) for row in rows.mappings()], total, complete)


async def estimated_contacts(tx: AsyncConnection) -> int:
    """About how many contacts there are, as PostgreSQL estimates it; at least 0."""
    return max(0, int((await tx.execute(_ESTIMATE)).scalar_one()))


async def draw(tx: AsyncConnection, size: int) -> list[Contact]:
    """About so many contacts, drawn by whole blocks of the table: cheap however many contacts there are."""
    total = await estimated_contacts(tx)
    share = 100.0 if total <= size else min(100.0, 200.0 * size / total)
    return _contacts(await tx.execute(_DRAWN, {"share": share, "limit": size}))


async def contacts_after(
    tx: AsyncConnection, after: str, limit: int, *, members: Members | None = None
) -> list[Contact]:
    """The contacts after that one, by the bytes of their ids, without what segments cannot read.

    With `members`, without what that tree does not read: of a tree about events alone, no more than the ids.
    """
    only_events = members is not None and not any(isinstance(leaf, ContactLeaf) for leaf in leaves(members))
    rows = await tx.execute(_IDS_AFTER if only_events else _AFTER, {"after": after, "limit": limit})
    return [Contact(contact_id) for contact_id in rows.scalars()] if only_events else _contacts(rows)


def _contacts(rows: Result[Any]) -> list[Contact]:
    return [read_row(Contact, row) for row in rows.mappings()]


async def all_events_of(
    tx: AsyncConnection, people: Sequence[Contact], members: Members, now: datetime
) -> Mapping[str, Facts | None]:
    """The facts of each contact, by id: all events that the tree is about, without standings.

    Of a contact with more than `MAX_EVENTS` of a name, those that decide. None where all of them decide.
    """
    found = await facts_of(tx, [(person, probes([members], whole=True)) for person in people], now)
    more = [(person, probes([members])) for person in people if found[person.id] is None]
    return {**found, **(await facts_of(tx, more, now) if more else {})}


async def facts_of(
    tx: AsyncConnection, asked: Sequence[tuple[Contact, Sequence[Probe]]], now: datetime
) -> Mapping[str, Facts | None]:
    """The facts of each contact, by id: what its probes ask for.

    None for a contact with more than `MAX_EVENTS` events where a probe asks for all. Properties that no probe asks for
    are empty.
    """
    found = await shared_facts_of(tx, asked, now)
    return {contact_id: None if facts.cut else facts for contact_id, facts in found.items()}


async def shared_facts_of(
    tx: AsyncConnection, asked: Sequence[tuple[Contact, Sequence[Probe]]], now: datetime
) -> Mapping[str, Facts]:
    """As `facts_of`, for the probes of several segments and scores together: `enough` tells of each of them whether it
    can be computed."""
    return (await facts_beside(tx, asked, now, ()))[0]


async def facts_beside(
    tx: AsyncConnection, asked: Sequence[tuple[Contact, Sequence[Probe]]], now: datetime, beside: Sequence[Statement]
) -> tuple[Mapping[str, Facts], Sequence[Rows]]:
    """As `shared_facts_of`; with the rows of further statements, which are sent together with its own."""
    wanted = [(person.id, probe) for person, its_probes in asked for probe in its_probes]
    events: dict[str, dict[str, Fact]] = {person.id: {} for person, _ in asked}
    cut: dict[str, dict[str, datetime]] = {person.id: {} for person, _ in asked}
    statements: list[Statement] = []
    about: list[list[tuple[str, Probe]]] = []
    for oldest, statement in ((False, _NEWEST), (True, _OLDEST)):
        chosen = [(contact_id, probe) for contact_id, probe in wanted if probe.oldest == oldest]
        if not chosen:
            continue
        given = {
            "contact": [contact_id for contact_id, _ in chosen],
            "name": [probe.event for _, probe in chosen],
            "since": [None if probe.within is None else now - probe.within for _, probe in chosen],
            "most": [MAX_EVENTS + 1 if probe.most is None else probe.most for _, probe in chosen],
            "properties": [probe.properties for _, probe in chosen],
        }
        statements.append(Statement(statement, given))
        about.append(chosen)
    answers = await together(tx, *statements, *beside) if statements or beside else []
    for chosen, rows in zip(about, answers, strict=False):
        counts = [0] * len(chosen)
        for number, event_id, at, properties in cast(Iterable[Any], rows):
            contact_id, probe = chosen[number - 1]
            counts[number - 1] += 1
            if probe.properties or event_id not in events[contact_id]:
                events[contact_id][event_id] = Fact(event_id, probe.event, at, properties or {})
            if probe.most is None and counts[number - 1] > MAX_EVENTS:
                cut[contact_id][probe.event] = at
    found = {person.id: Facts(person.view(), tuple(events[person.id].values()), cut[person.id]) for person, _ in asked}
    return found, answers[len(about) :]


def enough(facts: Facts, asked: Sequence[Probe], now: datetime) -> Facts | None:
    """The facts; None if they lack events that one of these probes asks for, because there are too many."""
    for probe in asked if facts.cut else ():
        known_from = facts.cut.get(probe.event)
        if probe.most is not None or known_from is None:
            continue
        if probe.within is None or now - probe.within < known_from:
            return None
    return facts


_ESTIMATE = text("SELECT reltuples FROM pg_class WHERE oid = 'contact'::regclass")
_DRAWN = text(f"SELECT {columns(Contact, 'c', computed=False)} FROM contact c TABLESAMPLE SYSTEM (:share) LIMIT :limit")
_AFTER = text(f"""
    SELECT {columns(Contact, "c", computed=False)} FROM contact c
    WHERE id COLLATE "C" > :after ORDER BY id COLLATE "C" LIMIT :limit
""")
_IDS_AFTER = text("""
    SELECT id FROM contact WHERE id COLLATE "C" > :after ORDER BY id COLLATE "C" LIMIT :limit
""")
HOLD = text(f"""
    SELECT {columns(Contact, "contact", computed=False)} FROM contact
    WHERE id = {any_of("ids")} ORDER BY id FOR NO KEY UPDATE
""")
"""Lock contacts, in the order of their ids, and read them."""
_ASKED = many("w", contact="text", name="text", since="timestamptz", most="int", properties="bool")
_EVENTS = f"""
    SELECT w.ord, e.event_id, e.occurred_at, CASE WHEN w.properties THEN e.properties END AS properties
    FROM {_ASKED} CROSS JOIN LATERAL (
        SELECT * FROM event WHERE contact_id = w.contact AND name = w.name
            AND occurred_at > coalesce(w.since, CAST('-infinity' AS timestamptz))
        ORDER BY occurred_at %s LIMIT w.most
    ) e
"""
_NEWEST, _OLDEST = text(_EVENTS % "DESC"), text(_EVENTS % "ASC")
