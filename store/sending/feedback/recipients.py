"""The address that a message was sent to: the only one that a report about this message may suppress."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from store.people import contacts
from store.people.consents import suppressions
from store.schema.addresses import address_hash
from store.sending.messages.messages import Message


async def hash_of(tx: AsyncConnection, message: Message, named: Collection[str]) -> str | None:
    """The hash of the message's address; None if it cannot be determined.

    If the ledger has no hash, an address in the provider's report (`named`) counts if it is the contact's present one
    (the message is then older than the ledger's hashes), or if it was suppressed when the contact was erased (so that a
    complaint can still make that suppression harsher).
    """
    if message.address_hash is not None:
        return message.address_hash
    if not named:
        return None
    person = await contacts.get(tx, message.contact_id)
    if person is not None and person.created_at is not None and person.created_at <= message.claimed_at:
        address = person.address(message.channel)
        own = address_hash(message.channel, address) if address else ""
        return own if own in {address_hash(message.channel, one) for one in named} else None
    for one in named:
        found = await suppressions.find(tx, message.channel, one)
        if found is not None and found.reason in ("erased", "complained", "bounced"):
            return found.address_hash
    return None
