"""Addresses that must not be written to. Only hashes are kept, so they outlive an erased contact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, Text, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store.addresses import address_hash
from store.rows import Channel
from store.sql import utc_now
from store.tables import suppression

HARSHEST_FIRST = ("complained", "bounced", "erased", "stop", "unsubscribed", "manual")
"""A harsher reason replaces a milder one, so that the same feedback in another order ends the same."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why and since when an address is not written to."""

    channel: Channel
    reason: str
    at: datetime


async def add(tx: AsyncConnection, channel: Channel, address: str, reason: str, at: datetime | None = None) -> bool:
    """Suppress an address (`reason` such as `unsubscribed`, `bounced`, `complained`, `stop`).

    Whether it is new, or for a harsher reason than before; otherwise the first reason and time stay.
    """
    milder = HARSHEST_FIRST[HARSHEST_FIRST.index(reason) + 1 :] if reason in HARSHEST_FIRST else ()
    new = insert(suppression).values(
        channel=channel, address_hash=address_hash(channel, address), reason=reason, at=at or utc_now()
    )
    statement = new.on_conflict_do_update(
        index_elements=[suppression.c.channel, suppression.c.address_hash],
        set_={"reason": new.excluded.reason, "at": new.excluded.at},
        where=suppression.c.reason == func.any(literal(list(milder), ARRAY(Text))),
    ).returning(suppression.c.reason)
    return (await tx.execute(statement)).first() is not None


async def remove(tx: AsyncConnection, channel: Channel, address: str, *, only: str | None = None) -> bool:
    """Allow an address again, where `only` is given for no other reason than that; whether anything changed."""
    statement = delete(suppression).where(
        suppression.c.channel == channel, suppression.c.address_hash == address_hash(channel, address)
    )
    if only is not None:
        statement = statement.where(suppression.c.reason == only)
    return (await tx.execute(statement)).rowcount > 0


async def find(tx: AsyncConnection, channel: Channel, address: str) -> Suppression | None:
    """The suppression of an address, however it is spelt."""
    statement = select(suppression.c.channel, suppression.c.reason, suppression.c.at).where(
        suppression.c.channel == channel, suppression.c.address_hash == address_hash(channel, address)
    )
    row = (await tx.execute(statement)).first()
    return Suppression(row.channel, row.reason, row.at) if row else None
