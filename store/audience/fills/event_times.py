"""Contacts with the moments of the events that decide about a segment: for segments that only ask when events happened.

One row per contact and no event's properties: a segment of all contacts is filled at a fraction of what `facts_of`
takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.segments.members import Condition, Did, DidNot, First, Last, Members, leaves
from audience.segments.probes import Probe, probes
from store.schema.rows import Contact, columns

_BY_TIMES = (Condition, Did, DidNot, Last, First)


def asks_only_when(members: Members) -> Sequence[Probe] | None:
    """What to read, if the tree asks only when events happened, and for few events of each name; else None."""
    asked = probes([members])
    simple = all(type(leaf) in _BY_TIMES for leaf in leaves(members))
    few = all(probe.most is not None and not probe.properties for probe in asked)
    apart = len({probe.event for probe in asked}) == len(asked)
    return asked if simple and few and apart else None


async def facts_after(
    tx: AsyncConnection, members: Members, asked: Sequence[Probe], now: datetime, *, after: str, limit: int
) -> list[tuple[str, Facts]] | None:
    """The contacts after that one, by the bytes of their ids, with what the tree asks of each.

    None if one of them has an event later than `now`: then the order of events to come decides too.
    """
    reads_contact = any(isinstance(leaf, Condition) for leaf in leaves(members))
    values: dict[str, Any] = {"after": after, "limit": limit}
    for number, probe in enumerate(asked):
        since = None if probe.within is None else now - probe.within
        values |= {f"name{number}": probe.event, f"since{number}": since, f"most{number}": probe.most}
    statement = _statement(tuple(probe.oldest for probe in asked), reads_contact)
    found: list[tuple[str, Facts]] = []
    names, forward = [probe.event for probe in asked], [probe.oldest for probe in asked]
    for row in (await tx.execute(statement, values)).all():
        moments = row[-len(asked) :] if asked else ()
        times = {
            name: in_order if oldest else in_order[::-1]
            for name, oldest, in_order in zip(names, forward, moments, strict=True)
            if in_order
        }
        facts = Facts.of_times(Contact(*row[: len(row) - len(asked)]).view() if reads_contact else {}, times)
        if facts.latest is not None and facts.latest > now:
            return None
        found.append((row[0], facts))
    return found


@lru_cache
def _statement(oldest: tuple[bool, ...], reads_contact: bool) -> TextClause:
    """The statement for so many probes, each of which begins with the oldest event or the newest."""
    contact = columns(Contact, "c", computed=False) if reads_contact else "c.id"
    moments = "".join(
        f""", ARRAY(
            SELECT occurred_at FROM event WHERE contact_id = c.id AND name = :name{number}
                AND occurred_at > coalesce(CAST(:since{number} AS timestamptz), '-infinity')
            ORDER BY occurred_at {"ASC" if first else "DESC"} LIMIT :most{number}
        )"""
        for number, first in enumerate(oldest)
    )
    return text(f"""
        SELECT {contact}{moments} FROM contact c
        WHERE id COLLATE "C" > :after ORDER BY id COLLATE "C" LIMIT :limit
    """)
