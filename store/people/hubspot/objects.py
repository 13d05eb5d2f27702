"""Which contact a contact of HubSpot is.

It is the contact to whom Perennial wrote it (a `crm` step), else the one whose id is in the property that the settings
name, else the one with the same email address. Only contacts that exist count. The assignment stays until HubSpot names
another contact by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.people import outside_people
from store.people.hubspot.hubspot_change import Change, Properties

EMAIL = "email"
"""HubSpot's own property with the address."""


@dataclass(frozen=True, slots=True)
class HubSpotContact:
    """A contact of HubSpot with what is known about who it is. `contact_id` is None as long as the contact is unknown.

    The address is kept only so long, because nothing else needs it.
    """

    id: str
    contact_id: str | None
    named_id: str | None
    email: str | None


async def learn(
    tx: AsyncConnection, object_id: str, changes: Sequence[Change], properties: Properties, now: datetime
) -> HubSpotContact:
    """Store what the changes say about who the contact is. It is then locked until the transaction ends."""
    newest = {one.name: one for one in sorted(changes, key=lambda one: one.moment)}
    named, email = newest.get(properties.id_property), newest.get(EMAIL)
    values = {
        "object": object_id,
        "named": named.value if named else None,
        "named_at": named.moment.at if named and named.value else None,
        "email": email.value if email else None,
        "email_at": email.moment.at if email and email.value else None,
        "now": now,
    }
    return HubSpotContact(*(await tx.execute(_LEARN, values)).one())


async def hold(tx: AsyncConnection, object_id: str) -> HubSpotContact | None:
    """The contact of HubSpot, locked until the transaction ends; None if it is not known."""
    row = (await tx.execute(_HOLD, {"object": object_id})).first()
    return HubSpotContact(*row) if row else None


async def read(tx: AsyncConnection, object_id: str) -> HubSpotContact | None:
    """The contact of HubSpot, not locked; None if it is not known."""
    row = (await tx.execute(_READ, {"object": object_id})).first()
    return HubSpotContact(*row) if row else None


async def find_contact(tx: AsyncConnection, known: HubSpotContact) -> str | None:
    """The id of our contact, or None if there is none yet."""
    email = known.email if known.contact_id is None else None
    found = await outside_people.find(tx, (known.named_id, known.contact_id), email)
    return known.contact_id if found is None else found


async def is_erased(tx: AsyncConnection, known: HubSpotContact) -> bool:
    """Whether this is a person who was erased."""
    return await outside_people.is_erased(tx, (known.named_id,), known.email)


async def assign(tx: AsyncConnection, object_id: str, contact_id: str) -> None:
    """Note which contact it is."""
    await tx.execute(_ASSIGN, {"object": object_id, "contact": contact_id})


async def matched_by_now(tx: AsyncConnection, limit: int) -> Sequence[str]:
    """Those without a contact whose contact exists by now."""
    return (await tx.execute(_MATCHED_BY_NOW, {"limit": limit})).scalars().all()


async def to_ask_for(tx: AsyncConnection, now: datetime, limit: int) -> Sequence[str]:
    """Those without a contact of whom neither an id nor an address is known, and for whom HubSpot was not asked yet.

    They count as asked for from now on.
    """
    return (await tx.execute(_TO_ASK_FOR, {"now": now, "limit": limit})).scalars().all()


async def ask_again(tx: AsyncConnection, object_ids: Sequence[str]) -> None:
    """Note that HubSpot was not asked for these after all."""
    await tx.execute(_ASK_AGAIN, {"ids": list(object_ids)})


async def any_waiting(tx: AsyncConnection) -> bool:
    """Whether there is anyone without a contact, or a change or a merge that waits."""
    return (await tx.execute(_ANY_WAITING)).first() is not None


async def unmatched_since(tx: AsyncConnection, age: timedelta, now: datetime, limit: int) -> Sequence[str]:
    """Those without a contact of whom nothing was said for that long; locked until the transaction ends."""
    return (await tx.execute(_OLD, {"before": now - age, "limit": limit})).scalars().all()


async def hold_of_contact(tx: AsyncConnection, contact_id: str) -> None:
    """Lock what HubSpot has of this contact, before the contact itself is locked, as its changes do."""
    await tx.execute(_HOLD_OF_CONTACT, {"contact": contact_id})


async def of_person(tx: AsyncConnection, contact_id: str, email: str | None) -> Sequence[str]:
    """The contacts of HubSpot that are this contact or, while they have none, would become it."""
    return (await tx.execute(_OF_PERSON, {"contact": contact_id, "email": email})).scalars().all()


async def forget(tx: AsyncConnection, object_ids: Sequence[str]) -> int:
    """Delete all that is known of these. Returns how many changes had been kept."""
    ids = {"ids": list(object_ids)}
    waiting = (await tx.execute(_FORGET_WAITING, ids)).rowcount
    await tx.execute(_FORGET_PROPERTIES, ids)
    await tx.execute(_FORGET_MERGES, ids)
    await tx.execute(_FORGET, ids)
    return waiting


_COLUMNS = "object_id, contact_id, named_id, email"
_LEARN = text(f"""
    INSERT INTO hubspot_contact AS c (object_id, named_id, named_at, email, email_at, heard_at)
    VALUES (:object, :named, CAST(:named_at AS timestamptz), :email, CAST(:email_at AS timestamptz), :now)
    ON CONFLICT (object_id) DO UPDATE SET heard_at = greatest(c.heard_at, excluded.heard_at),
        {outside_people.newest("named_id", "named_at")},
        {outside_people.newest("email", "email_at", "c.contact_id IS NULL")}
    RETURNING {_COLUMNS}
""")
_READ = text(f"SELECT {_COLUMNS} FROM hubspot_contact WHERE object_id = :object")
_HOLD = text(f"SELECT {_COLUMNS} FROM hubspot_contact WHERE object_id = :object FOR UPDATE")
_ASSIGN = text("""
    UPDATE hubspot_contact SET contact_id = :contact, email = NULL, email_at = NULL WHERE object_id = :object
""")
_MATCHED_BY_NOW = text(outside_people.matched_by_now("hubspot_contact", "object_id", "named_id"))
_TO_ASK_FOR = text("""
    UPDATE hubspot_contact SET asked_at = :now WHERE object_id IN (
        SELECT object_id FROM hubspot_contact
        WHERE contact_id IS NULL AND named_id IS NULL AND email IS NULL AND asked_at IS NULL
        ORDER BY heard_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ) RETURNING object_id
""")
_ASK_AGAIN = text(f"UPDATE hubspot_contact SET asked_at = NULL WHERE object_id = {any_of('ids')}")
_ANY_WAITING = text("""
    (SELECT 1 FROM hubspot_contact WHERE contact_id IS NULL LIMIT 1) UNION ALL (SELECT 1 FROM hubspot_waiting LIMIT 1)
    UNION ALL (SELECT 1 FROM hubspot_merged WHERE done_at IS NULL LIMIT 1)
""")
_OLD = text("""
    SELECT object_id FROM hubspot_contact WHERE contact_id IS NULL AND heard_at < :before
    ORDER BY heard_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_HOLD_OF_CONTACT = text("SELECT 1 FROM hubspot_contact WHERE contact_id = :contact ORDER BY object_id FOR UPDATE")
_OF_PERSON = text("""
    SELECT object_id FROM hubspot_contact WHERE contact_id = :contact
    UNION
    SELECT object_id FROM hubspot_contact
    WHERE contact_id IS NULL AND (named_id = :contact OR lower(email) = lower(CAST(:email AS text)))
    ORDER BY 1
""")
_FORGET_WAITING = text(f"DELETE FROM hubspot_waiting WHERE kind = 'contact' AND object_id = {any_of('ids')}")
_FORGET_PROPERTIES = text(f"DELETE FROM hubspot_property WHERE object_id = {any_of('ids')}")
_FORGET_MERGES = text(f"""
    DELETE FROM hubspot_merged WHERE object_id = {any_of("ids")} OR into_id = {any_of("ids")}
""")
_FORGET = text(f"DELETE FROM hubspot_contact WHERE object_id = {any_of('ids')}")
