"""Apply what HubSpot says to contacts: attributes from the newest values, events of what people changed, each once.

Changes of somebody who is no contact yet are kept, and applied when the contact appears. In a transaction the contact
of HubSpot is locked before our contact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import utc_now
from store.people import contacts, crm_task_outcomes
from store.people.crm import crm_changes
from store.people.crm.crm_changes import STAGE, Changed
from store.people.crm_task_outcomes import Completed
from store.people.hubspot import objects, waiting
from store.people.hubspot import properties as property_values
from store.people.hubspot.hubspot_change import Change, Moment, Properties
from store.people.hubspot.objects import HubSpotContact
from store.people.hubspot.typed_values import Value
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.events import events
from store.runs.events.events import Accepted, Event

KIND, SOURCE = "hubspot", "hubspot"
OVERTAKEN, UNMATCHED, UNMAPPED, MISTYPED = "overtaken", "unmatched", "unmapped", "mistyped"
DONE = "done"
"""The outcome of a task that was completed in HubSpot without an outcome of its own."""
AT_ONCE = 100
"""Most contacts of HubSpot that one run of the job settles or gives up."""
DELETED = "crm.contact_deleted"


@dataclass(slots=True)
class Applied:
    """What came of changes: how many had which outcome (`told`, `own`, `unchanged`, `overtaken`, `duplicate`,
    `waiting`, `unmapped`, `erased`, `merged`, `merge-waiting`), and all events that tracks were told."""

    counts: Counter[str] = field(default_factory=Counter)
    accepted: list[Accepted] = field(default_factory=list)


async def apply(
    tx: AsyncConnection,
    object_id: str,
    changes: Sequence[Change],
    properties: Properties,
    *,
    now: datetime | None = None,
    pace: float = 1.0,
) -> Applied:
    """Apply changes of one contact of HubSpot, in any order; repeated ones change nothing."""
    now, applied = now or utc_now(), Applied()
    mapped = [one for one in changes if one.name in properties.attributes]
    known = {*properties.attributes, properties.id_property, objects.EMAIL}
    unmapped = Counter(one.name for one in changes if one.name not in known)
    await drop_counts.add(tx, [Drop(UNMAPPED, KIND, name, count) for name, count in sorted(unmapped.items())])
    applied.counts[UNMAPPED] += unmapped.total()
    if len(changes) == unmapped.total():
        return applied
    contact = await objects.learn(tx, object_id, changes, properties, now)
    contact_id = await _hold_contact(tx, contact)
    if contact_id is not None:
        return await _settle(tx, contact, contact_id, mapped, properties, applied, now, pace)
    if await objects.is_erased(tx, contact):
        gone = await objects.forget(tx, [object_id]) + len(mapped)
        await drop_counts.add(tx, [Drop(drop_counts.ERASED, KIND, count=gone)])
        applied.counts["erased"] += len(mapped)
        return applied
    await waiting.keep(tx, mapped, now)
    applied.counts["waiting"] += len(mapped)
    return applied


async def settle(
    tx: AsyncConnection, object_id: str, properties: Properties, *, now: datetime | None = None, pace: float = 1.0
) -> Applied:
    """Apply what is kept of a contact of HubSpot, if our contact exists by now."""
    contact = await objects.hold(tx, object_id)
    contact_id = await _hold_contact(tx, contact) if contact else None
    if contact is None or contact_id is None:
        return Applied()
    return await _settle(tx, contact, contact_id, [], properties, Applied(), now or utc_now(), pace)


async def complete_task(
    tx: AsyncConnection, change: Change, *, now: datetime | None = None, pace: float = 1.0
) -> Applied:
    """A person completed a task in HubSpot, or said what came of it (`change.outcome`), which completes it too.

    A task that no step has noted waits for a day. A completion after an outcome says nothing new.
    """
    now, applied = now or utc_now(), Applied()
    row = (await tx.execute(_TASK, {"task": change.object_id})).first()
    if row is None:
        await waiting.keep(tx, [change], now)
        applied.counts["waiting"] += 1
        return applied
    if await contacts.hold(tx, row.contact_id) is None:
        applied.counts["erased"] += 1
        return applied
    said, _, reason = (change.outcome or DONE).partition(":")
    told_as = (await tx.execute(_TASK, {"task": change.object_id})).one().outcome
    if said == DONE and told_as not in (None, DONE):
        applied.counts["unchanged"] += 1
        return applied
    await tx.execute(_TOLD_AS, {"task": change.object_id, "outcome": said})
    task = Completed(
        row.contact_id,
        change.object_id,
        said,
        row.effect_key,
        reason=reason or None,
        event_id=change.moment.event_id,
        at=min(change.moment.at, now),
        source=SOURCE,
    )
    applied.accepted.append(await crm_task_outcomes.complete(tx, task, now=now, pace=pace))
    applied.counts["told"] += 1
    return applied


async def note_deletion(
    tx: AsyncConnection, object_id: str, moment: Moment, *, now: datetime | None = None, pace: float = 1.0
) -> Applied:
    """A person deleted the contact in HubSpot, from where it can be restored. Tracks are told; our contact stays."""
    now, applied = now or utc_now(), Applied()
    known = await objects.hold(tx, object_id)
    contact_id = await _hold_contact(tx, known) if known else None
    if contact_id is None:
        applied.counts["not-ours"] += 1
        return applied
    event = Event(moment.event_id, contact_id, DELETED, {"source": SOURCE}, min(moment.at, now))
    applied.accepted.append(await events.accept(tx, event, now=now, pace=pace))
    applied.counts["told"] += 1
    return applied


async def become(
    tx: AsyncConnection,
    object_id: str,
    contact_id: str,
    properties: Properties,
    *,
    now: datetime | None = None,
    pace: float = 1.0,
) -> Applied:
    """A contact of HubSpot is this contact of ours from now on. Both are locked."""
    known = HubSpotContact(object_id, None, contact_id, None)
    return await _settle(tx, known, contact_id, [], properties, Applied(), now or utc_now(), pace)


async def give_up(tx: AsyncConnection, now: datetime) -> int:
    """Delete changes, and contacts of HubSpot without one of ours, that waited too long. Returns how many changes."""
    old = await objects.unmatched_since(tx, waiting.KEPT, now, AT_ONCE)
    gone = await objects.forget(tx, old) if old else 0
    gone += await waiting.give_up(tx, now)
    await drop_counts.add(tx, [Drop(UNMATCHED, KIND, count=gone)])
    return gone


async def _hold_contact(tx: AsyncConnection, known: HubSpotContact) -> str | None:
    """Our contact, locked; None if there is none, or if they were erased just now."""
    found = await objects.find_contact(tx, known)
    for one in sorted({one for one in (found, known.contact_id) if one is not None}):
        if await contacts.hold(tx, one) is None and one == found:
            return None
    return found


async def _settle(
    tx: AsyncConnection,
    known: HubSpotContact,
    contact_id: str,
    changes: Sequence[Change],
    properties: Properties,
    applied: Applied,
    now: datetime,
    pace: float,
) -> Applied:
    """Apply `changes` and, if the contact is found only now, all that has waited. Attributes are set before events."""
    if contact_id != known.contact_id:
        kept = await waiting.take(tx, "contact", known.id)
        changes = [*(one for one in kept if one.name in properties.attributes), *changes]
        await objects.assign(tx, known.id, contact_id)
    kept_values = await property_values.keep(tx, known.id, changes)
    moved = contact_id != known.contact_id
    names = properties.attributes if moved else {one.change.name for one in kept_values if one.outcome in _SETS}
    if names:
        new = {contact_id: await property_values.attributes_of(tx, contact_id, properties, names)}
        if moved and known.contact_id is not None:  # it was somebody else until now, who keeps nothing of it
            left = await property_values.attributes_of(tx, known.contact_id, properties, names)
            none: dict[str, Value] = dict.fromkeys(properties.attributes.values())
            new[known.contact_id] = none | left
        upserts = [(one, contacts.Changes(attributes=values)) for one, values in sorted(new.items()) if values]
        if upserts:
            await contacts.upsert_many(tx, upserts, now=now, pace=pace)
    told = [
        crm_changes.event_of(
            contact_id,
            Changed(
                _field(one.change.name, properties),
                properties.value(one.change.name, one.before),
                properties.value(one.change.name, one.change.value),
            ),
            event_id=one.change.moment.event_id,
            at=min(one.change.moment.at, now),
            source=SOURCE,
        )
        for one in kept_values
        if one.outcome == "changed"
    ]
    if told:
        applied.accepted += await events.accept_many(tx, told, now=now, pace=pace)
    outcomes = Counter("told" if one.outcome == "changed" else one.outcome for one in kept_values)
    mistyped = Counter(
        one.change.name
        for one in kept_values
        if one.outcome in _SETS and one.change.value and properties.value(one.change.name, one.change.value) is None
    )
    drops = [Drop(MISTYPED, KIND, name, count) for name, count in sorted(mistyped.items())]
    await drop_counts.add(tx, [Drop(OVERTAKEN, KIND, count=outcomes[OVERTAKEN]), *drops])
    applied.counts.update(outcomes)
    return applied


def _field(name: str, properties: Properties) -> str | None:
    """The field's name in an event: HubSpot's own. None for the property that is the stage."""
    return None if properties.attributes[name] == STAGE else name


_SETS = ("changed", "own")
_TASK = text("SELECT contact_id, effect_key, outcome FROM hubspot_task WHERE task_id = :task")
_TOLD_AS = text("UPDATE hubspot_task SET outcome = :outcome WHERE task_id = :task")
