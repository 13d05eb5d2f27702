"""The addresses that a merged contact had, as hashes: they are the survivor's for ever, whatever address it has then.

Whoever is named by such an address elsewhere is the survivor, and an erasure of the survivor suppresses it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.hash_secret import FINGERPRINT, demand
from store.engine.sql import many
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact

_CHANNELS: tuple[Channel, ...] = ("email", "sms")


async def keep(tx: AsyncConnection, merged: Contact) -> None:
    """Store the addresses of a contact who is about to be merged. They then move as the contact's other rows do."""
    for row in (await tx.execute(_KEEP, _values(merged))).all()[:1]:
        demand(row.secret)


async def take_back(tx: AsyncConnection, merged: Contact) -> None:
    """Forget what `keep` stored of a contact who was given back."""
    await tx.execute(_TAKE_BACK, _values(merged))


async def take_all(tx: AsyncConnection, contact_id: str) -> Sequence[tuple[Channel, str]]:
    """Channel and hash of each of the contact's, which are deleted."""
    return [(cast(Channel, row.channel), row.address_hash) for row in await tx.execute(_TAKE_ALL, {"id": contact_id})]


def _values(contact: Contact) -> dict[str, Any]:
    own = [(channel, address_hash(channel, it)) for channel in _CHANNELS if (it := contact.address(channel))]
    return {"id": contact.id, "channel": [channel for channel, _ in own], "hash": [hashed for _, hashed in own]}


_GIVEN = many("i", channel="text", hash="text")
_KEEP = text(f"""
    INSERT INTO former_address (contact_id, channel, address_hash)
    SELECT :id, i.channel, i.hash FROM {_GIVEN} ORDER BY i.ord RETURNING {FINGERPRINT} AS secret
""")
_TAKE_BACK = text(f"""
    DELETE FROM former_address f USING {_GIVEN}
    WHERE f.contact_id = :id AND f.channel = i.channel AND f.address_hash = i.hash
""")
_TAKE_ALL = text("DELETE FROM former_address WHERE contact_id = :id RETURNING channel, address_hash")
