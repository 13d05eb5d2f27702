"""What is stored of contacts, as segments see it: a contact and what they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Fact, Facts
from audience.segments.members import Members
from audience.segments.probes import Probe, probes
from store.engine.sql import any_of, many
from store.schema.rows import Contact, columns, read_row

MAX_EVENTS = 2_000
"""Events of one contact and one name that an evaluation reads. A contact with more of them cannot be judged."""


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
    rows = await tx.execute(_DRAWN, {"share": share, "limit": size})
    return [read_row(Contact, row) for row in rows.mappings()]


async def contacts_after(tx: AsyncConnection, after: str, limit: int) -> list[Contact]:
    """The contacts after that one, by the bytes of their ids, without what segments cannot read."""
    rows = await tx.execute(_AFTER, {"after": after, "limit": limit})
    return [read_row(Contact, row) for row in rows.mappings()]


async def all_facts_of(
    tx: AsyncConnection, people: Sequence[Contact], members: Members, now: datetime
) -> Mapping[str, Facts | None]:
    """The facts of each contact, by id: all events that the tree is about.

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
    wanted = [(person.id, probe) for person, its_probes in asked for probe in its_probes]
    events: dict[str, dict[str, Fact]] = {person.id: {} for person, _ in asked}
    too_many: set[str] = set()
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
        counts = [0] * len(chosen)
        for row in await tx.execute(statement, given):
            contact_id, probe = chosen[row.ord - 1]
            counts[row.ord - 1] += 1
            events[contact_id][row.event_id] = Fact(row.event_id, probe.event, row.occurred_at, row.properties or {})
        too_many |= {
            contact_id
            for (contact_id, probe), count in zip(chosen, counts, strict=True)
            if probe.most is None and count > MAX_EVENTS
        }
    return {
        person.id: None if person.id in too_many else Facts(person.view(), tuple(events[person.id].values()))
        for person, _ in asked
    }


_ESTIMATE = text("SELECT reltuples FROM pg_class WHERE oid = 'contact'::regclass")
_DRAWN = text(f"SELECT {columns(Contact, 'c', computed=False)} FROM contact c TABLESAMPLE SYSTEM (:share) LIMIT :limit")
_AFTER = text(f"""
    SELECT {columns(Contact, "c", computed=False)} FROM contact c
    WHERE id COLLATE "C" > :after ORDER BY id COLLATE "C" LIMIT :limit
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
