"""Bring segments up to date that ask who may be sent messages, where consents and suppressions change.

Suppressions are about addresses, so a change may concern several contacts, who are locked before anything else is. If
no segment asks, nothing is searched and nobody is locked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.leaves.standings import cause
from store.audience.memberships import memberships
from store.audience.memberships.memberships import Touch
from store.engine.sql import any_of, utc_now
from store.runs.events import events
from store.schema.addresses import address_hash, normalise
from store.schema.rows import Channel

CAUSES = frozenset({cause("consent"), cause("reach")})
Address = tuple[Channel, str]


async def hold(
    tx: AsyncConnection,
    *,
    addresses: Iterable[Address] = (),
    hashes: Collection[str] = (),
    contact_ids: Collection[str] = (),
) -> Sequence[str]:
    """Lock all contacts whom a change of these addresses concerns, and return their ids; nobody if no segment asks.

    Of an address of which only the hash is known, the contacts are found who were sent messages there. `contact_ids`:
    also the addresses of these contacts.
    """
    if (await tx.execute(_ASKED, {"causes": sorted(CAUSES)})).first() is None:
        return ()
    known = list(addresses)
    rows = (await tx.execute(_OF_HASHES, {"hashes": sorted(hashes), "ids": sorted(contact_ids)})).all()
    for row in rows:
        known += [(channel, it) for channel, it in _addresses(row) if row.given or address_hash(channel, it) in hashes]
    written = {
        "emails": sorted({one for channel, it in known if channel == "email" for one in _spellings(it)}),
        "phones": sorted({normalise("sms", it) for channel, it in known if channel == "sms"}),
    }
    wanted = {address_hash(channel, it) for channel, it in known}
    sharing = [
        row.id
        for row in await tx.execute(_SHARING, written)
        if any(address_hash(channel, it) in wanted for channel, it in _addresses(row))
    ]
    ids = sorted({*sharing, *(row.id for row in rows)})
    return list((await tx.execute(_HOLD, {"ids": ids})).scalars()) if ids else ()


async def tell(
    tx: AsyncConnection, contact_ids: Collection[str], *, now: datetime | None = None, pace: float = 1.0
) -> None:
    """Bring the segments of these contacts up to date, whom `hold` has locked."""
    if not contact_ids:
        return
    now = now or utc_now()
    updated = await memberships.update(tx, dict.fromkeys(sorted(contact_ids), Touch(events=CAUSES)), now)
    await events.tell_changes(tx, updated, now=now, pace=pace)


def _addresses(row: Any) -> list[Address]:
    found: list[tuple[Channel, str | None]] = [("email", row.email), ("sms", row.phone)]
    return [(channel, it) for channel, it in found if it]


def _spellings(email: str) -> tuple[str, str]:
    """The two under which a contact is searched by the index on `lower(email)`."""
    return email.lower(), normalise("email", email)


_ASKED = text(f"SELECT 1 FROM segment_trigger WHERE event = {any_of('causes')} LIMIT 1")
_OF_HASHES = text(f"""
    SELECT c.id, c.email, c.phone, c.id = {any_of("ids")} AS given FROM contact c
    WHERE c.id = {any_of("ids")} OR c.id IN (SELECT contact_id FROM message WHERE address_hash = {any_of("hashes")})
""")
_SHARING = text(f"""
    SELECT id, email, phone FROM contact WHERE email IS NOT NULL AND lower(email) = {any_of("emails")}
    UNION
    SELECT id, email, phone FROM contact WHERE phone IS NOT NULL AND phone = {any_of("phones")}
""")
_HOLD = text(f"SELECT id FROM contact WHERE id = {any_of('ids')} ORDER BY id FOR NO KEY UPDATE")
