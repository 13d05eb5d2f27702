"""Any segments, contacts, events and clock: what is kept equals a full evaluation, and what is told adds up to it."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from sqlalchemy import text

from tests.store.audience.memberships.membership_story import TRACK, Story, steps
from tests.store.audience.segment_calls import checked, fill, members, pass_time
from tests.store.store_calls import StoreCalls

_TABLES = (
    "segment_revisit membership segment_trigger segment_version segment event outbox enrollment consent consent_change "
    "suppression contact erasure"
).split()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
async def test_members_are_kept_and_told_as_a_full_evaluation_gives_them(store: StoreCalls, story: list[Any]) -> None:
    async with store.db.transaction() as tx:
        for table in _TABLES:
            await tx.execute(text(f"DELETE FROM {table}"))
    await store.publish(TRACK)
    told = Story(store)
    note(f"{story}")
    for step in story:
        await told.live(step)
    await pass_time(store, told.now)
    await fill(store, told.now)
    stored = {name: await members(store, name) for name in told.definitions}
    for name in told.definitions:
        assert stored[name] == told.expected(name, told.now, stored), name
        found = await checked(store, name, told.now)
        assert (found.differences, found.late) == ([], 0)
    await _adds_up(store)


async def _adds_up(store: StoreCalls) -> None:
    """Each contact's changes of one version alternate, are numbered without a gap, and end with the state of today."""
    rows = await store.rows(
        "SELECT name, contact_id, properties, split_part(event_id, ':', 4)::int AS seq FROM event"
        " WHERE name LIKE 'segment.%' AND properties <> '{}' ORDER BY seq"
    )
    changes: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        changes[row.contact_id, row.properties["segment"], row.properties["version"]].append(row)
    known = {(row.contact_id, row.segment, row.version): row for row in await store.rows("SELECT * FROM membership")}
    for key, found in changes.items():
        names = [row.name for row in found]
        assert all(one != other for one, other in pairwise(names)), (key, names)
        if key in known:
            assert [row.seq for row in found] == list(range(1, known[key].seq + 1))
            assert (names[-1] == "segment.entered") == known[key].member
