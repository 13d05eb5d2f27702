"""Fill what the surviving contact lacks from the merged one, and take it away again.

The survivor's own values win: an address, a time zone, a locale or an attribute that it has stays. Of two pauses the
longer one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, as_json
from store.people.contact_changes import differing
from store.schema.rows import Contact, columns, read_row

FIELDS = ("email", "phone", "timezone", "locale")


@dataclass(frozen=True, slots=True)
class Filled:
    """The survivor after it was filled, and the names of what was filled."""

    contact: Contact
    fields: tuple[str, ...]
    attributes: tuple[str, ...]
    paused_before: str | None
    """The end of the survivor's own pause, where the merged contact's longer one replaced it."""
    paused: bool

    def changes(self) -> dict[str, Any]:
        """What `take_away` needs; no values but the end of a pause."""
        known = {"fields": list(self.fields), "attributes": list(self.attributes)}
        return {**known, **({"paused_before": self.paused_before} if self.paused else {})}


def filled(survivor: Contact, merged: Contact, now: datetime) -> Filled:
    """The survivor with what it lacks from the merged contact."""
    fields = tuple(name for name in FIELDS if getattr(survivor, name) is None and getattr(merged, name) is not None)
    own, other = survivor.attributes or {}, merged.attributes or {}
    attributes = tuple(sorted(other.keys() - own.keys()))
    ends = [end for end in (survivor.paused_until, merged.paused_until) if end is not None]
    longest = max(ends, default=None)
    contact = replace(
        survivor,
        **{name: getattr(merged, name) for name in fields},
        attributes={**other, **own},
        paused_until=longest,
        updated_at=now,
    )
    before = survivor.paused_until.isoformat() if survivor.paused_until else None
    return Filled(contact, fields, attributes, before, longest != survivor.paused_until)


def without(survivor: Contact, merged: Contact, changes: Mapping[str, Any], now: datetime) -> Contact:
    """The survivor without what a merge had filled, as far as it still has those values."""
    fields: dict[str, Any] = {
        name: None for name in changes.get("fields", ()) if getattr(survivor, name) == getattr(merged, name)
    }
    own, other = survivor.attributes or {}, merged.attributes or {}
    changed = differing(own, other)
    given = {name for name in changes.get("attributes", ()) if name in own and name not in changed}
    if "paused_before" in changes and survivor.paused_until == merged.paused_until:
        before = changes["paused_before"]
        fields["paused_until"] = datetime.fromisoformat(before) if before else None
    kept = {name: value for name, value in own.items() if name not in given}
    return replace(survivor, **fields, attributes=kept, updated_at=now)


async def lock(tx: AsyncConnection, ids: list[str]) -> dict[str, Contact]:
    """Lock contacts against everything, also against events, and read them."""
    rows = (await tx.execute(_LOCK, {"ids": sorted(ids)})).mappings()
    return {row["id"]: read_row(Contact, row) for row in rows}


async def reserve(tx: AsyncConnection, ids: list[str], now: datetime) -> None:
    """Create those contacts who do not exist and were not erased, without any data."""
    await tx.execute(_RESERVE, {"ids": sorted(ids), "now": now})


async def write(tx: AsyncConnection, contact: Contact) -> None:
    """Write the fields of a contact who exists."""
    await tx.execute(_WRITE, _values(contact))


async def remove(tx: AsyncConnection, contact_id: str) -> None:
    """Delete the row of a merged contact."""
    await tx.execute(_REMOVE, {"id": contact_id})


async def keep(tx: AsyncConnection, contact_id: str) -> dict[str, Any]:
    """The rows of a contact that are kept as they are as long as a merge can be undone."""
    return dict((await tx.execute(_KEEP, {"id": contact_id})).mappings().one())


async def restore(tx: AsyncConnection, former: Mapping[str, Any]) -> Contact:
    """Create the merged contact again, as it was."""
    row = (await tx.execute(_RESTORE, {"former": as_json(former["contact"])})).mappings().one()
    return read_row(Contact, row)


def _values(contact: Contact) -> dict[str, Any]:
    names = ("id", *FIELDS, "paused_until", "updated_at")
    return {name: cast(Any, getattr(contact, name)) for name in names} | {"attributes": as_json(contact.attributes)}


_PLAIN = columns(Contact, "contact", computed=False)
_LOCK = text(f"SELECT {_PLAIN} FROM contact WHERE id = {any_of('ids')} ORDER BY id FOR UPDATE")
_RESERVE = text("""
    INSERT INTO contact (id, created_at, updated_at)
    SELECT i.id, :now, :now FROM unnest((SELECT CAST(:ids AS text[]))) AS i (id)
    WHERE NOT EXISTS (SELECT FROM erasure x WHERE x.contact_id = i.id) ORDER BY i.id
    ON CONFLICT (id) DO NOTHING
""")
_WRITE = text("""
    UPDATE contact SET email = :email, phone = :phone, timezone = :timezone, locale = :locale,
        attributes = CAST(:attributes AS jsonb), paused_until = :paused_until, updated_at = :updated_at
    WHERE id = :id
""")
_REMOVE = text("DELETE FROM contact WHERE id = :id")
_KEEP = text("""
    SELECT to_jsonb(c) AS contact, (SELECT to_jsonb(k) FROM crm_contact k WHERE k.contact_id = c.id) AS crm
    FROM contact c WHERE c.id = :id
""")
_NAMES = "id, email, phone, timezone, locale, attributes, paused_until, created_at, updated_at"
_RESTORE = text(f"""
    INSERT INTO contact ({_NAMES})
    SELECT {_NAMES} FROM jsonb_populate_record(CAST(NULL AS contact), CAST(:former AS jsonb))
    RETURNING {_PLAIN}
""")
