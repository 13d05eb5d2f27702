"""Merge two contacts that are one person: all that is stored of the one goes to the other, in one transaction.

`table_rules` says what happens with each table. From then on the merged id stands for the survivor, everywhere that an
id comes in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import any_of, utc_now
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
from store.people.stripe import customers
from store.runs.events import awaited_conditions
from store.schema import merged_ids
from store.schema.rows import Contact

MOST_EVENTS = 500_000
"""The most events of a contact that is merged. The transaction moves about 30,000 a second of CPU, and both contacts
are locked so long."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge.

    `one_already`: both ids stand for the same contact, and nothing was changed. `no_survivor`, `no_merged`: there is no
    such contact. `erased`: the contact to merge was erased, and nothing of them may come back. `taken`: the id to merge
    was merged into a third contact, which `merged` names: whoever means that one has to name it. `too_large`: the
    contact to merge has more than `MOST_EVENTS` events.
    """

    outcome: Literal["merged", "one_already", "no_survivor", "no_merged", "erased", "taken", "too_large"]
    survivor: str
    merged: str
    merge_id: str = ""
    moved: Mapping[str, int] = field(default_factory=dict)
    """How many rows went to the survivor, by table."""
    filled: Sequence[str] = ()
    """The names of the fields and attributes that the survivor lacked."""
    runs_ended: Sequence[str] = ()
    """The enrollments that end because the other contact's run of the same track goes on."""


async def merge(
    tx: AsyncConnection,
    into: str,
    merged: str,
    *,
    by: str,
    reserve: bool = False,
    now: datetime | None = None,
    pace: float = 1.0,
) -> Merged:
    """Merge a contact into another. The surviving one may be named by an id that was merged into it.

    `by` is who asks for it, for the record. `reserve`: contacts who do not exist are created without any data, so that
    what comes later under the merged id is the survivor's. `pace` is for enrollments that begin by it. One merge at a
    time: see `merge_records.one_at_a_time`.
    """
    now = now or utc_now()
    await merge_records.one_at_a_time(tx)
    survivor, gone = await merged_ids.current(tx, into), await merged_ids.current(tx, merged)
    if survivor == gone:
        return Merged("one_already", survivor, gone)
    if gone != merged:
        return Merged("taken", survivor, gone)
    for contact_id in sorted((survivor, gone)):
        await customers.hold_of_contact(tx, contact_id)
        await objects.hold_of_contact(tx, contact_id)
    if reserve:
        await filling.reserve(tx, [survivor, gone], now)
    people = await filling.lock(tx, [survivor, gone])
    if survivor not in people:
        return Merged("no_survivor", survivor, gone)
    if gone not in people:
        return Merged("erased" if await _erased(tx, gone) else "no_merged", survivor, gone)
    if (await tx.execute(_TOO_LARGE, {"id": gone, "most": MOST_EVENTS})).first() is not None:
        return Merged("too_large", survivor, gone)
    return await _merge(tx, people[survivor], people[gone], by, now, pace)


async def _merge(
    tx: AsyncConnection, survivor: Contact, merged: Contact, by: str, now: datetime, pace: float
) -> Merged:
    merge_id = new_id()
    former = await filling.keep(tx, merged.id)
    await merge_records.begin(tx, merge_id, survivor.id, merged.id, by=by, former=former, now=now)
    filled = filling.filled(survivor, merged, now)
    stricter = await merged_consents.of_both(tx, survivor.id, merged.id)
    runs = await merged_runs.join(tx, merge_id, survivor.id, merged.id, now)
    after = filled.contact.attributes
    changed = {one.id: contact_changes.differing(one.attributes, after) for one in (survivor, merged)}
    await contact_changes.tell_attributes(tx, changed, now)
    await former_addresses.keep(tx, merged)
    moved = await moved_rows.move_all(tx, merge_id, merged.id, survivor.id)
    await filling.remove(tx, merged.id)
    await filling.write(tx, filled.contact)
    await tx.execute(_STANDS_FOR, {"id": merged.id, "into": survivor.id})
    said = await merged_consents.settle(tx, merge_id, survivor.id, merged.id, stricter, now)
    changes: dict[str, Any] = {
        **filled.changes(),
        "crm": await merged_crm.fill(tx, survivor.id, former["crm"]),
        "said": said,
        "suppressed": await merged_consents.carry_suppressions(tx, filled.contact, merged),
        "moved": dict(moved),
    }
    await merge_records.keep_changes(tx, merge_id, changes)
    was_member = await merged_audience.leave(tx, merged.id, now)
    await merged_audience.tell_runs(tx, merge_id, runs.of_survivor, runs.of_merged, now)
    await merged_audience.evaluate(tx, [survivor.id], now, pace, former=was_member)
    await awaited_conditions.wake(tx, [survivor.id], now)
    names = (*filled.fields, *(f"attributes.{name}" for name in filled.attributes))
    return Merged("merged", survivor.id, merged.id, merge_id, moved, names, runs.ended)


async def _erased(tx: AsyncConnection, contact_id: str) -> bool:
    return (await tx.execute(_ERASED, {"ids": [contact_id]})).first() is not None


_TOO_LARGE = text("SELECT 1 FROM event WHERE contact_id = :id OFFSET :most LIMIT 1")
_STANDS_FOR = text("INSERT INTO merged_id (id, contact_id) VALUES (:id, :into)")
_ERASED = text(f"SELECT 1 FROM erasure WHERE contact_id = {any_of('ids')}")
