"""What is stored of contacts, as a segment sees it: a contact and what they did."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.evaluation import Fact, Facts
from store.engine.sql import any_of
from store.schema.rows import Contact, columns, read_row

MAX_EVENTS = 2_000
"""Events of one contact that an evaluation reads. A contact with more of them cannot be judged, and is told apart."""


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


async def facts_of(
    tx: AsyncConnection, contacts: Sequence[Contact], names: Collection[str], since: datetime | None
) -> Mapping[str, Facts | None]:
    """The facts of each contact by id: events of these names that happened after `since` (None: ever).

    None for a contact with more than `MAX_EVENTS` of them.
    """
    events: dict[str, list[Fact]] = {one.id: [] for one in contacts}
    if names:
        given = {
            "contacts": [one.id for one in contacts],
            "names": sorted(names),
            "since": since,
            "most": MAX_EVENTS + 1,
        }
        for row in await tx.execute(_EVENTS, given):
            events[row.contact_id].append(Fact(row.event_id, row.name, row.occurred_at, row.properties))
    return {
        one.id: Facts(one.view(), events[one.id]) if len(events[one.id]) <= MAX_EVENTS else None for one in contacts
    }


def horizon(window: timedelta | None, now: datetime) -> datetime | None:
    """The moment before which no event counts, for a segment that looks back that far (None: without a limit)."""
    return None if window is None else now - window


_EVENTS = text(f"""
    SELECT e.contact_id, e.event_id, e.name, e.properties, e.occurred_at
    FROM unnest(CAST(:contacts AS text[])) AS c (id)
    CROSS JOIN LATERAL (
        SELECT e.* FROM event e
        WHERE e.contact_id = c.id AND e.name = {any_of("names")}
            AND (CAST(:since AS timestamptz) IS NULL OR e.occurred_at > CAST(:since AS timestamptz))
        LIMIT :most
    ) e
""")
