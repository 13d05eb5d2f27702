"""Undo a merge: the merged contact gets back what was moved; what came since stays with the survivor.

Only the newest merge into a contact can be undone, because a later one built on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import utc_now
from store.people import contact_changes
from store.people.hubspot import objects
from store.people.merging import (
    filling,
    former_addresses,
    merge_records,
    merged_audience,
    merged_consents,
    merged_crm,
    merged_runs,
    moved_rows,
)
from store.people.merging.merge_records import Merge
from store.people.stripe import customers
from store.runs.events import awaited_conditions
from store.schema import merged_ids


@dataclass(frozen=True, slots=True)
class Unmerged:
    """The result of undoing a merge.

    `not_merged`: that id was not merged into this contact. `later_first`: `blocking` was merged later, and has to be
    undone first. `too_late`: the time for it is over, or the person was erased.
    """

    outcome: Literal["unmerged", "not_merged", "later_first", "too_late"]
    survivor: str
    merged: str
    merge_id: str = ""
    moved: Mapping[str, int] = field(default_factory=dict)
    blocking: str = ""


async def unmerge(
    tx: AsyncConnection, survivor: str, merged: str, *, by: str, now: datetime | None = None, pace: float = 1.0
) -> Unmerged:
    """Undo the merge of `merged` into the contact; `by` is who asks for it. One at a time, as merges are."""
    now = now or utc_now()
    await merge_records.one_at_a_time(tx)
    asked, survivor = survivor, await merged_ids.current(tx, survivor)
    found = await merge_records.newest_of(tx, merged)
    if found is None or await merged_ids.current(tx, merged) != survivor:
        return Unmerged("not_merged", survivor, merged)
    if found.contact_id != survivor:  # the contact into which it was merged has been merged itself
        return Unmerged("later_first", survivor, merged, blocking=found.contact_id)
    newest = await merge_records.newest_into(tx, survivor)
    if newest is not None and newest.id != found.id:
        return Unmerged("later_first", survivor, merged, blocking=newest.merged_id)
    if found.undoable_until(now) is None:
        return Unmerged("too_late", survivor, merged)
    await customers.hold_of_contact(tx, survivor)
    await objects.hold_of_contact(tx, survivor)
    if survivor not in await filling.lock(tx, [survivor]):
        return Unmerged("not_merged", asked, merged)  # erased at this moment
    return await _unmerge(tx, found, by, now, pace)


async def _unmerge(tx: AsyncConnection, found: Merge, by: str, now: datetime, pace: float) -> Unmerged:
    survivor = (await filling.lock(tx, [found.contact_id]))[found.contact_id]
    former = await merge_records.former(tx, found.id)
    await tx.execute(_STANDS_FOR_ITSELF, {"id": found.merged_id})
    merged = await filling.restore(tx, former)
    parted = filling.without(survivor, merged, found.changes, now)
    await filling.write(tx, parted)
    await merged_runs.part(tx, found.id)
    moved = await moved_rows.give_back_all(tx, found.id, merged.id, survivor.id)
    await former_addresses.take_back(tx, merged)
    await merged_runs.give_back(tx, found.id, merged.id, survivor.id)
    changed = {one.id: contact_changes.differing(survivor.attributes, one.attributes) for one in (parted, merged)}
    await contact_changes.tell_attributes(tx, changed, now)
    await merged_consents.give_back(tx, found.id, survivor.id, merged.id, found.changes["said"])
    await merged_consents.take_back_suppressions(tx, found.changes["suppressed"])
    await merged_crm.take_away(tx, survivor.id, former["crm"], found.changes["crm"])
    await merge_records.finish(tx, found.id, by=by, now=now)
    await merged_audience.evaluate(tx, sorted((survivor.id, merged.id)), now, pace)
    await awaited_conditions.wake(tx, sorted((survivor.id, merged.id)), now)
    return Unmerged("unmerged", survivor.id, merged.id, found.id, moved)


_STANDS_FOR_ITSELF = text("DELETE FROM merged_id WHERE id = :id")
