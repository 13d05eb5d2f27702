"""What is stored of contacts, as segments see it: a contact and what they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Result, text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Fact, Facts
from audience.segments.members import ContactLeaf, Members, leaves
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
        for number, event_id, at, properties in await tx.execute(statement, given):
            contact_id, probe = chosen[number - 1]
            counts[number - 1] += 1
            events[contact_id][event_id] = Fact(event_id, probe.event, at, properties or {})
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
