"""A person's wish to be erased, told to another system and passed on by it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from store.people import erasure
from store.people.hubspot import objects


async def erase_of_hubspot(tx: AsyncConnection, object_id: str) -> bool:
    """Erase the person whom HubSpot deleted for good (a privacy deletion). Returns whether it was a contact of ours.

    What is known of the person from HubSpot is deleted in any case.
    """
    known = await objects.read(tx, object_id)
    contact_id = await objects.find_contact(tx, known) if known else None
    if contact_id is None:
        await objects.forget(tx, [object_id])
        return False
    return (await erasure.erase(tx, contact_id)).existed
