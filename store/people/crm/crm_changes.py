"""What a person changes in the CRM: it is stored, becomes an attribute of the contact, and is told to tracks.

The attributes `crm_stage` and `crm_<field>` always are as the CRM is, whoever changed it. Only a person's change is
told as an event, because a track that hears of its own `crm` step could run in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import as_json, utc_now
from store.people import contacts
from store.runs.events import events
from store.runs.events.events import Accepted, Event

STAGE_CHANGED, FIELD_CHANGED = "crm.stage_changed", "crm.field_changed"
STAGE = "crm_stage"
"""The attribute with the stage."""
PREFIX = "crm_"
"""Before a field's name, it is the name of the field's attribute."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One change: `field` is None for the stage. A value that was or is missing is None."""

    field: str | None
    before: Any
    after: Any


async def set_stage(
    tx: AsyncConnection, contact_id: str, stage: str | None, *, now: datetime | None = None, pace: float = 1.0
) -> Sequence[Accepted] | None:
    """A person sets the contact's stage; None removes it. Returns what came of the events: none if nothing changed.

    The result is None if there is no such contact.
    """
    return await _change(tx, contact_id, {None: stage}, now or utc_now(), pace)


async def set_fields(
    tx: AsyncConnection, contact_id: str, fields: Mapping[str, Any], *, now: datetime | None = None, pace: float = 1.0
) -> Sequence[Accepted] | None:
    """A person sets fields of the contact, merged name by name; None removes one. Returns as `set_stage`."""
    wanted: dict[str | None, Any] = dict(fields.items())
    return await _change(tx, contact_id, wanted, now or utc_now(), pace)


async def add_note(
    tx: AsyncConnection,
    contact_id: str,
    body: str,
    *,
    author: str | None = None,
    once: str | None = None,
    now: datetime | None = None,
) -> bool:
    """A person writes a note about the contact. Returns whether the contact exists.

    With the same `once`, a note of this contact is added once.
    """
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return False
    contact_id = person.id
    key = f"note:{contact_id}:{once}" if once else f"note:{new_id()}"
    values = {"id": new_id(), "key": key, "contact": contact_id, "body": body, "by": author, "now": now or utc_now()}
    await tx.execute(_NOTE, values)
    return True


async def mirror(
    tx: AsyncConnection,
    contact_id: str,
    stage: str | None,
    fields: Mapping[str, Any],
    *,
    now: datetime | None = None,
    pace: float = 1.0,
) -> None:
    """Set the attributes after a track wrote to the built-in CRM: a stage unless it is None, and these fields.

    The contact exists and is locked.
    """
    attributes = {attribute(name): value for name, value in fields.items() if attribute(name) != STAGE}
    if stage is not None:
        attributes[STAGE] = stage
    if attributes:
        await contacts.upsert(tx, contact_id, {"attributes": attributes}, now=now, pace=pace)


def attribute(field: str | None) -> str:
    """The name of the attribute with a field; of the stage, if None. A field named `stage` has no attribute of its own,
    because the stage has that name."""
    return STAGE if field is None else PREFIX + field


def event_of(contact_id: str, change: Changed, *, event_id: str, at: datetime, source: str) -> Event:
    """The event that tells tracks of a person's change."""
    properties: dict[str, Any] = {"from": change.before, "to": change.after, "source": source}
    if change.field is not None:
        properties["field"] = change.field
    told = {name: value for name, value in properties.items() if value is not None}
    return Event(event_id, contact_id, STAGE_CHANGED if change.field is None else FIELD_CHANGED, told, at)


async def _change(
    tx: AsyncConnection, contact_id: str, wanted: Mapping[str | None, Any], now: datetime, pace: float
) -> Sequence[Accepted] | None:
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return None
    contact_id = person.id  # another one, if the named contact was merged
    row = (await tx.execute(_READ, {"contact": contact_id})).first()
    held: dict[str | None, Any] = {None: row.stage, **row.fields} if row else {}
    changes = [
        Changed(name, held.get(name), value) for name, value in wanted.items() if not _same(held.get(name), value)
    ]
    if not changes:
        return ()
    new = {**held, **{one.field: one.after for one in changes}}
    fields = {name: value for name, value in new.items() if name is not None and value is not None}
    values = {"contact": contact_id, "stage": new.get(None), "fields": as_json(fields), "now": now}
    await tx.execute(_WRITE, values)
    attributes = {
        attribute(one.field): one.after for one in changes if one.field is None or attribute(one.field) != STAGE
    }
    await contacts.upsert(tx, contact_id, {"attributes": attributes}, now=now, pace=pace)
    told = [event_of(contact_id, one, event_id=f"crm:{new_id()}", at=now, source="builtin") for one in changes]
    return await events.accept_many(tx, told, now=now, pace=pace)


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))


_READ = text("SELECT stage, fields FROM crm_contact WHERE contact_id = :contact FOR UPDATE")
_WRITE = text("""
    INSERT INTO crm_contact (contact_id, stage, fields, updated_at)
    VALUES (:contact, :stage, CAST(:fields AS jsonb), :now)
    ON CONFLICT (contact_id) DO UPDATE
    SET stage = excluded.stage, fields = excluded.fields, updated_at = excluded.updated_at
""")
_NOTE = text("""
    WITH card AS (
        INSERT INTO crm_contact (contact_id, updated_at) VALUES (:contact, :now) ON CONFLICT (contact_id) DO NOTHING
    )
    INSERT INTO crm_note (id, effect_key, contact_id, body, author, created_at)
    VALUES (CAST(:id AS uuid), :key, :contact, :body, :by, :now) ON CONFLICT (effect_key) DO NOTHING
""")
