"""Create and change contacts (see also `erasure` and `merging`). An id that was merged stands for the survivor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.errors import BusyError
from store.engine.sql import any_of, as_json, as_json_list, many, utc_now
from store.people.contact_changes import differing, tell_runs, tell_segments
from store.runs.events import awaited_conditions
from store.schema.merged_ids import check_created, is_merged, survivor_of
from store.schema.rows import Contact, columns, read_row


class Changes(TypedDict, total=False):
    """Changes to a contact: an absent key keeps the value, None removes it."""

    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    attributes: Mapping[str, Any]
    """Merged key by key; a None removes the attribute."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """The contact after the change; `changed` names the attributes (not the other fields) that differ."""

    contact: Contact
    created: bool
    changed: frozenset[str]


async def get(tx: AsyncConnection, contact_id: str) -> Contact | None:
    """The contact, or None if there is none (it never existed, or is erased)."""
    row = (await tx.execute(_GET, {"id": contact_id})).mappings().first()
    return read_row(Contact, row) if row else None


async def hold(tx: AsyncConnection, contact_id: str) -> Contact | None:
    """The contact, locked against changes until the transaction ends; None if there is none."""
    for _ in range(_TRIES):
        state, names = await _lock(tx, [contact_id])
        if found := state.get(names[contact_id]):
            return found
        if not (await tx.execute(_EXISTS, {"id": contact_id})).scalar_one():
            return None
    raise BusyError("the contact kept being merged")


async def hold_many(tx: AsyncConnection, contact_ids: Sequence[str]) -> dict[str, Contact]:
    """Those of these contacts (in the order of their ids) who exist, locked against changes; by the ids that are given.

    An id that was merged stands for the survivor.
    """
    people, names = await _lock(tx, list(contact_ids))
    return {given: people[one] for given in contact_ids if (one := names.get(given, given)) in people}


async def pause(tx: AsyncConnection, contact_id: str, until: datetime | None) -> str | None:
    """Send the contact nothing promotional until then; None ends the pause. Returns the contact's id, None if there is
    no such contact."""
    person = await hold(tx, contact_id)
    if person is not None:
        await tx.execute(_PAUSE, {"id": person.id, "until": until})
    return person.id if person else None


async def by_phone(tx: AsyncConnection, phone: str) -> list[Contact]:
    """Every contact with this phone number (E.164), the most recently changed first."""
    return [read_row(Contact, row) for row in (await tx.execute(_BY_PHONE, {"phone": phone})).mappings()]


async def upsert(
    tx: AsyncConnection,
    contact_id: str,
    changes: Changes,
    *,
    replace: bool = False,
    now: datetime | None = None,
    pace: float = 1.0,
) -> Upserted:
    """Create or change one contact; see `upsert_many`."""
    return (await upsert_many(tx, [(contact_id, changes)], replace=replace, now=now, pace=pace))[0]


async def upsert_many(
    tx: AsyncConnection,
    items: Sequence[tuple[str, Changes]],
    *,
    replace: bool = False,
    bulk: bool = False,
    now: datetime | None = None,
    pace: float = 1.0,
) -> list[Upserted]:
    """Create or change contacts, in order; an id may occur more than once.

    `replace` removes what an item does not name. Live runs that wait for a changed attribute, or for a condition that
    holds now, are signalled through the outbox (its slow lane, if `bulk`), in this transaction. An erased contact's id
    creates a new contact; a merged one changes the contact that it stands for, whose id the result has.
    Who enters or leaves a segment by the change does so in this transaction too; `pace` is for the enrollments that
    begin by it.
    """
    now = now or utc_now()
    for _ in range(_TRIES):
        state, names = await _lock(tx, sorted({contact_id for contact_id, _ in items}))
        before = dict(state)
        results: list[Upserted] = []
        for named, changes in items:
            contact_id = names[named]
            old = state.get(contact_id)
            new = _apply(old or Contact(contact_id, attributes={}, created_at=now), changes, replace, now)
            changed = differing(old.attributes if old else {}, new.attributes)
            if old is None or _facts(old) != _facts(new):
                state[contact_id] = new
            results.append(Upserted(state[contact_id], old is None, changed))
        fresh = [contact for contact_id, contact in state.items() if contact_id not in before]
        if await _insert(tx, fresh) == len(fresh):
            await check_created(tx, [contact.id for contact in fresh])
            await _update(tx, [state[i] for i, old in before.items() if state[i] is not old])
            waiting = await tell_runs(tx, before, state, bulk, now)
            moved = await tell_segments(tx, before, state, bulk, now, pace)
            if waiting:
                await awaited_conditions.wake(tx, waiting, now, bulk=bulk)
            return [replaced(one, contact=moved.get(one.contact.id, one.contact)) for one in results]
    raise BusyError("contacts kept changing")


async def erased_since(tx: AsyncConnection, ids: Sequence[str], moment: datetime) -> set[str]:
    """Which of these contacts were erased at that moment or later, and have not been created again since.

    The contacts are locked first, so that for those who exist the answer stays true until the transaction ends.
    """
    await _lock(tx, sorted(ids))
    return set((await tx.execute(_ERASED, {"ids": list(ids), "moment": moment})).scalars())


async def _lock(tx: AsyncConnection, ids: list[str]) -> tuple[dict[str, Contact], dict[str, str]]:
    """Lock contacts. Returns those who exist, by id, and the id that each of the given ones stands for."""
    rows = (await tx.execute(_LOCK, {"ids": ids})).mappings().all()
    merged: Mapping[str, str] = rows[0]["merged"] or {} if rows else {}
    return {row["id"]: read_row(Contact, row) for row in rows}, {one: merged.get(one, one) for one in ids}


async def _insert(tx: AsyncConnection, contacts: list[Contact]) -> int:
    """The number of inserted rows; fewer than given means that another transaction inserted some first."""
    if not contacts:
        return 0
    return (await tx.execute(_INSERT, _arrays(contacts))).rowcount


async def _update(tx: AsyncConnection, contacts: list[Contact]) -> None:
    if contacts:
        await tx.execute(_UPDATE, _arrays(contacts))


def _apply(old: Contact, changes: Changes, replace: bool, now: datetime) -> Contact:
    def field(name: str) -> str | None:
        value = changes.get(name, None if replace else getattr(old, name))
        return value if isinstance(value, str) else None

    merged = {**({} if replace else old.attributes or {}), **(changes.get("attributes") or {})}
    return Contact(
        id=old.id,
        email=field("email"),
        phone=field("phone"),
        timezone=field("timezone"),
        locale=field("locale"),
        attributes={name: value for name, value in merged.items() if value is not None},
        created_at=old.created_at,
        updated_at=now,
        paused_until=old.paused_until,
        segments=old.segments,
        scores=old.scores,
    )


def _facts(contact: Contact) -> tuple[object, ...]:
    return (contact.email, contact.phone, contact.timezone, contact.locale, as_json(contact.attributes))


def _arrays(contacts: list[Contact]) -> dict[str, Any]:
    ordered = sorted(contacts, key=lambda contact: contact.id)  # the same order everywhere prevents deadlocks
    plain = {name: [getattr(c, name) for c in ordered] for name in ("id", "email", "phone", "timezone", "locale")}
    return {
        **plain,
        "attributes": as_json_list(c.attributes for c in ordered),
        "created_at": [c.created_at for c in ordered],
        "updated_at": [c.updated_at for c in ordered],
    }


_COLUMNS = columns(Contact, "contact")
_TRIES = 5
_GET = text(f"SELECT {_COLUMNS} FROM contact WHERE id = {survivor_of('CAST(:id AS text)')}")
_EXISTS = text(f"SELECT EXISTS (SELECT FROM contact WHERE id = {survivor_of('CAST(:id AS text)')})")
_BY_PHONE = text(f"SELECT {_COLUMNS} FROM contact WHERE phone = :phone ORDER BY updated_at DESC, id LIMIT 100")
# A contact that was merged while this waited for its lock is missing here, and `_INSERT` refuses its id.
_LOCK = text(f"""
    SELECT {_COLUMNS},
        (SELECT jsonb_object_agg(g.id, g.contact_id) FROM merged_id g WHERE g.id = {any_of("ids")}) AS merged
    FROM contact
    WHERE id = ANY(ARRAY(SELECT {survivor_of("i.id")} FROM unnest((SELECT CAST(:ids AS text[]))) AS i (id)))
    ORDER BY contact.id FOR NO KEY UPDATE
""")
_INPUT = many(
    "i",
    id="text",
    email="text",
    phone="text",
    timezone="text",
    locale="text",
    attributes="text",
    created_at="timestamptz",
    updated_at="timestamptz",
)
_INSERT = text(f"""
    WITH cleared AS (DELETE FROM erasure WHERE contact_id = {any_of("id")})
    INSERT INTO contact (id, email, phone, timezone, locale, attributes, created_at, updated_at)
    SELECT i.id, i.email, i.phone, i.timezone, i.locale, i.attributes::jsonb, i.created_at, i.updated_at
    FROM {_INPUT} WHERE NOT {is_merged("i.id")} ORDER BY i.id
    ON CONFLICT (id) DO NOTHING
""")
_UPDATE = text(f"""
    UPDATE contact SET email = i.email, phone = i.phone, timezone = i.timezone, locale = i.locale,
        attributes = i.attributes::jsonb, updated_at = i.updated_at
    FROM {_INPUT} WHERE contact.id = i.id
""")
_ERASED = text(f"SELECT contact_id FROM erasure WHERE contact_id = {any_of('ids')} AND erased_at >= :moment")
_PAUSE = text("UPDATE contact SET paused_until = :until WHERE id = :id")
