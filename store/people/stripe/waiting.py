"""Events of customers who are no contacts yet: kept for a time, and told when the contact appears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import as_json
from store.people.outside_people import KEPT as KEPT
from store.people.outside_people import MOST as MOST
from store.people.stripe.stripe_event import Moment, Told


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is to be told to a contact, and its place among the customer's events."""

    moment: Moment
    told: Told


async def keep(tx: AsyncConnection, customer_id: str, moment: Moment, told: Told, now: datetime) -> bool:
    """Keep an event until its customer is a contact. False if it is kept already."""
    values = {
        "event": moment.event_id,
        "customer": customer_id,
        "name": told.name,
        "properties": as_json(told.properties),
        "created": moment.created,
        "rank": moment.rank,
        "now": now,
    }
    return (await tx.execute(_KEEP, values)).rowcount > 0


async def take(tx: AsyncConnection, customer_id: str) -> Sequence[Waiting]:
    """Take out all kept events of a customer; the caller tells them."""
    rows = await tx.execute(_TAKE, {"customer": customer_id})
    return [Waiting(Moment(row.occurred_at, row.rank, row.event_id), Told(row.name, row.properties)) for row in rows]


async def give_up(tx: AsyncConnection, now: datetime) -> int:
    """Delete the events that waited too long, and those that are too many. Returns how many."""
    return (await tx.execute(_GIVE_UP, {"before": now - KEPT, "most": MOST})).rowcount


_KEEP = text("""
    INSERT INTO stripe_waiting (event_id, customer_id, name, properties, occurred_at, rank, received_at)
    VALUES (:event, :customer, :name, CAST(:properties AS jsonb), :created, :rank, :now)
    ON CONFLICT (event_id) DO NOTHING
""")
_TAKE = text("""
    DELETE FROM stripe_waiting WHERE customer_id = :customer
    RETURNING event_id, name, properties, occurred_at, rank
""")
_GIVE_UP = text("""
    DELETE FROM stripe_waiting WHERE received_at <= greatest(
        CAST(:before AS timestamptz),
        (SELECT received_at FROM stripe_waiting ORDER BY received_at DESC OFFSET :most LIMIT 1)
    )
""")
