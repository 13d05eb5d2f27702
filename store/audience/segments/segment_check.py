"""Compare the stored members of a segment with what evaluating all facts gives: both must be the same.

Who is a member because of `min_stay` is right whatever the facts give. Of other segments, what is stored is taken as a
fact: each segment is checked by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.evaluation import evaluate
from store.audience.facts import HOLD, contacts_after, draw
from store.audience.memberships import segment_revisits
from store.audience.segments import member_lists
from store.audience.standings import all_facts_of
from store.published import segments
from store.published.segments import SegmentSummary
from store.schema.rows import Contact, read_row
from tracks.conditions.conditions import ConditionError


@dataclass(frozen=True, slots=True)
class Difference:
    """A contact whose stored membership is not what the facts give."""

    contact_id: str
    stored: bool
    evaluated: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """The result for some contacts: how many there were, how many are late, and the differences.

    A contact is late whose membership changed by time alone and is not looked at yet; that is no difference. So are
    contacts who are still to be evaluated again because another segment or the policy has changed.
    """

    contacts: int
    late: int
    differences: Sequence[Difference]
    last: str | None
    """The contact to go on after; None if these were the last ones."""


async def check_sample(tx: AsyncConnection, segment: SegmentSummary, now: datetime, *, size: int) -> Checked:
    """Compare about so many contacts, drawn by whole blocks of the table: cheap however many contacts there are."""
    return await _checked(tx, segment, await draw(tx, size), now, size + 1)


async def check(tx: AsyncConnection, segment: SegmentSummary, now: datetime, *, after: str, limit: int) -> Checked:
    """Compare the next contacts. Those that differ are compared again when their rows are locked."""
    return await _checked(tx, segment, await contacts_after(tx, after, limit), now, limit)


async def _checked(
    tx: AsyncConnection, segment: SegmentSummary, people: Sequence[Contact], now: datetime, limit: int
) -> Checked:
    late, different = await _compare(tx, segment, people, now)
    if different:
        rows = await tx.execute(HOLD, {"ids": sorted(one.contact_id for one in different)})
        _, different = await _compare(tx, segment, [read_row(Contact, row) for row in rows.mappings()], now)
    if different and await segment_revisits.under_way(tx, segment.name):
        late, different = late + len(different), []
    return Checked(len(people), late, different, people[-1].id if len(people) == limit else None)


async def _compare(
    tx: AsyncConnection, segment: SegmentSummary, people: Sequence[Contact], now: datetime
) -> tuple[int, list[Difference]]:
    assert segment.live is not None
    defined = await segments.definition(tx, segment.name, segment.live)
    members = defined.members
    facts = await all_facts_of(tx, people, members, now)
    known = await member_lists.stored(tx, segment.name, [person.id for person in people])
    late, found = 0, []
    for person in people:
        row, all_facts = known.get(person.id), facts[person.id]
        if row is not None and row.changes_at is not None and row.changes_at <= now:
            late += 1
            continue
        try:
            member = all_facts is not None and evaluate(members, all_facts, now).member
        except ConditionError:
            member = False
        stays = row is not None and row.member and now < row.since + defined.min_stay
        if not stays and member != (row is not None and row.member):
            found.append(Difference(person.id, not member, member))
    return late, found
