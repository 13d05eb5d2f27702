"""Which contact a customer of Stripe is.

A customer is the contact whose id the metadata name, else the one whose id is the client reference of a checkout, else
the one with the customer's email address. Only contacts that exist count. A customer stays with a contact until Stripe
names another one by id. Of several values that Stripe said for the same thing, the newest counts, by Stripe's own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.people import outside_people
from store.people.stripe.stripe_event import StripeEvent


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with what Stripe said about who it is. `contact_id` is None as long as the contact is unknown.

    The address is kept only so long, because nothing else needs it.
    """

    id: str
    contact_id: str | None
    named_id: str | None
    reference_id: str | None
    email: str | None


async def learn(tx: AsyncConnection, event: StripeEvent, now: datetime) -> Customer:
    """Store what the event says about its customer. The customer is then locked until the transaction ends."""
    values = {
        "customer": event.customer_id,
        "named": event.names.named_id,
        "reference": event.names.reference_id,
        "email": event.names.email,
        "at": event.moment.created,
        "now": now,
    }
    return Customer(*(await tx.execute(_LEARN, values)).one())


async def hold(tx: AsyncConnection, customer_id: str) -> Customer | None:
    """The customer, locked until the transaction ends; None if there is none."""
    row = (await tx.execute(_HOLD, {"customer": customer_id})).first()
    return Customer(*row) if row else None


async def find_contact(tx: AsyncConnection, customer: Customer) -> str | None:
    """The id of the contact that the customer is, or None if there is no such contact yet."""
    email = customer.email if customer.contact_id is None else None
    found = await outside_people.find(tx, (customer.named_id, customer.reference_id), email)
    return customer.contact_id if found is None else found


async def assign(tx: AsyncConnection, customer_id: str, contact_id: str) -> None:
    """Note which contact the customer is."""
    await tx.execute(_ASSIGN, {"customer": customer_id, "contact": contact_id})


async def is_erased(tx: AsyncConnection, customer: Customer) -> bool:
    """Whether the customer is a person who was erased: by the contact's id, or by an address suppressed as `erased`."""
    return await outside_people.is_erased(tx, (customer.named_id, customer.reference_id), customer.email)


async def matched_by_now(tx: AsyncConnection, limit: int) -> Sequence[str]:
    """Customers without a contact whose contact exists by now."""
    return (await tx.execute(_MATCHED_BY_NOW, {"limit": limit})).scalars().all()


async def any_unmatched(tx: AsyncConnection) -> bool:
    """Whether there is a customer without a contact."""
    return (await tx.execute(_ANY_UNMATCHED)).first() is not None


async def unmatched_since(tx: AsyncConnection, age: timedelta, now: datetime, limit: int) -> Sequence[str]:
    """Customers without a contact of whom Stripe has said nothing for that long; locked until the transaction ends."""
    return (await tx.execute(_OLD, {"before": now - age, "limit": limit})).scalars().all()


async def hold_of_contact(tx: AsyncConnection, contact_id: str) -> None:
    """Lock the customers that are this contact, before the contact itself is locked, as events of Stripe do."""
    await tx.execute(_HOLD_OF_CONTACT, {"contact": contact_id})


async def of_person(tx: AsyncConnection, contact_id: str, email: str | None) -> Sequence[str]:
    """The customers that are this contact or, while they have none, would become it."""
    return (await tx.execute(_OF_PERSON, {"contact": contact_id, "email": email})).scalars().all()


async def forget(tx: AsyncConnection, customer_ids: Sequence[str]) -> int:
    """Delete all that is known of these customers. Returns how many events of theirs had been kept."""
    ids = {"ids": list(customer_ids)}
    waiting = (await tx.execute(_FORGET_WAITING, ids)).rowcount
    await tx.execute(_FORGET_SUBSCRIPTIONS, ids)
    await tx.execute(_FORGET, ids)
    return waiting


_COLUMNS = "customer_id, contact_id, named_id, reference_id, email"
_LEARN = text(f"""
    INSERT INTO stripe_customer AS c
        (customer_id, named_id, named_at, reference_id, reference_at, email, email_at, heard_at)
    VALUES (:customer, :named, :at, :reference, :at, :email, :at, :now)
    ON CONFLICT (customer_id) DO UPDATE SET heard_at = greatest(c.heard_at, excluded.heard_at),
        {outside_people.newest("named_id", "named_at")},
        {outside_people.newest("reference_id", "reference_at")},
        {outside_people.newest("email", "email_at", "c.contact_id IS NULL")}
    RETURNING {_COLUMNS}
""")
_HOLD = text(f"SELECT {_COLUMNS} FROM stripe_customer WHERE customer_id = :customer FOR UPDATE")
_ASSIGN = text("""
    UPDATE stripe_customer SET contact_id = :contact, email = NULL, email_at = NULL WHERE customer_id = :customer
""")
_MATCHED_BY_NOW = text(outside_people.matched_by_now("stripe_customer", "customer_id", "named_id", "reference_id"))
_ANY_UNMATCHED = text("SELECT 1 FROM stripe_customer WHERE contact_id IS NULL LIMIT 1")
_OLD = text("""
    SELECT customer_id FROM stripe_customer WHERE contact_id IS NULL AND heard_at < :before
    ORDER BY heard_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_HOLD_OF_CONTACT = text("SELECT 1 FROM stripe_customer WHERE contact_id = :contact ORDER BY customer_id FOR UPDATE")
_OF_PERSON = text("""
    SELECT customer_id FROM stripe_customer WHERE contact_id = :contact
    UNION
    SELECT customer_id FROM stripe_customer WHERE contact_id IS NULL
        AND (named_id = :contact OR reference_id = :contact OR lower(email) = lower(CAST(:email AS text)))
    ORDER BY 1
""")
_FORGET_WAITING = text(f"DELETE FROM stripe_waiting WHERE customer_id = {any_of('ids')}")
_FORGET_SUBSCRIPTIONS = text(f"DELETE FROM stripe_subscription WHERE customer_id = {any_of('ids')}")
_FORGET = text(f"DELETE FROM stripe_customer WHERE customer_id = {any_of('ids')}")
