"""Apply Stripe's events to contacts: attributes from the newest states, events for tracks, each once.

A customer without a contact is kept with their events, and settled when the contact appears. In a transaction the
customer is locked before the contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, utc_now
from store.people import contacts
from store.people.stripe import customers, subscriptions, waiting
from store.people.stripe.customers import Customer
from store.people.stripe.stripe_event import CHANGED, INVOICE_PAID, PAYMENT_FAILED, TRIAL_ENDING, Moment, StripeEvent
from store.people.stripe.waiting import Waiting
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.events import events
from store.runs.events.events import Accepted

OVERTAKEN = "overtaken"
"""It was no longer true when it could be told."""
UNMATCHED = "unmatched"
"""It waited for its contact until it was given up."""
KIND = "stripe"
AT_ONCE = 100
"""Most customers that one run of the job settles or gives up."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of an event. `accepted` are all events that tracks were told, also those that had waited."""

    outcome: Literal["told", "noted", "waiting", "overtaken", "erased"]
    accepted: Sequence[Accepted] = ()


async def apply(tx: AsyncConnection, event: StripeEvent, *, now: datetime | None = None, pace: float = 1.0) -> Applied:
    """Apply one event; a repeated one changes nothing. `pace` is for the enrollments that entry rules begin."""
    now = now or utc_now()
    customer = await customers.learn(tx, event, now)
    state = event.subscription
    newest = await subscriptions.keep(tx, customer.id, state, event.moment) if state else None
    told = [Waiting(event.moment, event.told)] if event.told else []
    contact_id = await _hold_contact(tx, customer)
    if contact_id is None:
        if await customers.is_erased(tx, customer):
            gone = await customers.forget(tx, [customer.id]) + len(told)
            await drop_counts.add(tx, [Drop(drop_counts.ERASED, KIND, count=gone)])
            return Applied("erased")
        for one in told:
            await waiting.keep(tx, customer.id, one.moment, one.told, now)
        return Applied("waiting")
    accepted = await _settle(tx, customer, contact_id, told, changed=newest == event.moment, now=now, pace=pace)
    if event.told is None:
        return Applied("noted", accepted)
    return Applied("told" if accepted else "overtaken", accepted)


async def settle(tx: AsyncConnection, customer_id: str, *, now: datetime | None = None, pace: float = 1.0) -> int:
    """Apply what is kept of a customer, if the contact exists by now. Returns how many events tracks were told."""
    customer = await customers.hold(tx, customer_id)
    contact_id = await _hold_contact(tx, customer) if customer else None
    if customer is None or contact_id is None:
        return 0
    return len(await _settle(tx, customer, contact_id, [], changed=False, now=now or utc_now(), pace=pace))


async def give_up(tx: AsyncConnection, now: datetime) -> int:
    """Delete events, and customers without a contact, that waited too long. They are counted. Returns how many."""
    old = await customers.unmatched_since(tx, waiting.KEPT, now, AT_ONCE)
    gone = await customers.forget(tx, old) if old else 0
    gone += await waiting.give_up(tx, now)
    await drop_counts.add(tx, [Drop(UNMATCHED, KIND, count=gone)])
    return gone


async def erase(tx: AsyncConnection, contact_id: str, email: str | None) -> None:
    """Delete all that is known of a person from Stripe: customers, subscriptions, kept events."""
    if found := await customers.of_person(tx, contact_id, email):
        await customers.forget(tx, found)


async def _hold_contact(tx: AsyncConnection, customer: Customer) -> str | None:
    """The contact that the customer is, locked; None if there is none, or if they were erased just now."""
    found = await customers.find_contact(tx, customer)
    held: str | None = None
    for one in sorted({one for one in (found, customer.contact_id) if one is not None}):
        person = await contacts.hold(tx, one)
        if one == found:
            held = person.id if person else None  # another one, if the contact was merged at this moment
    return held


async def _settle(
    tx: AsyncConnection,
    customer: Customer,
    contact_id: str,
    told: Sequence[Waiting],
    *,
    changed: bool,
    now: datetime,
    pace: float,
) -> Sequence[Accepted]:
    """Tell `told` and, if the contact is found only now, all that has waited, in Stripe's order.

    The contact's attributes are set before, if a state `changed` or the customer has a subscription that had waited.
    """
    if contact_id != customer.contact_id:
        told = [*await waiting.take(tx, customer.id), *told]
        await customers.assign(tx, customer.id, contact_id)
        changed = changed or bool(await _has_subscription(tx, customer.id))
    if changed:
        whose = [contact_id] if customer.contact_id in (None, contact_id) else [contact_id, str(customer.contact_id)]
        new = [(one, contacts.Changes(attributes=await subscriptions.attributes_of(tx, one))) for one in whose]
        await contacts.upsert_many(tx, new, now=now, pace=pace)
    late = await _overtaken(tx, contact_id, told)
    await drop_counts.add(tx, [Drop(OVERTAKEN, KIND, count=len(late))])
    happened = [
        events.Event(event_id(one.moment), contact_id, one.told.name, one.told.properties, one.moment.created)
        for one in sorted(told, key=lambda one: one.moment)
        if one.moment not in late
    ]
    return await events.accept_many(tx, happened, now=now, pace=pace) if happened else ()


def event_id(moment: Moment) -> str:
    """The id under which Stripe's event is stored, so that it is stored once."""
    return f"stripe:{moment.event_id}"


async def _has_subscription(tx: AsyncConnection, customer_id: str) -> bool:
    return (await tx.execute(_HAS_SUBSCRIPTION, {"customer": customer_id})).first() is not None


async def _overtaken(tx: AsyncConnection, contact_id: str, told: Sequence[Waiting]) -> set[Moment]:
    """Those that are no longer true: a change of a subscription, or the end of its trial, of which a newer state is
    known; a failed payment of an invoice that has been paid."""
    states = {one.moment: str(one.told.properties["subscription_id"]) for one in told if one.told.name in _OF_STATE}
    newest = await subscriptions.newest(tx, sorted(set(states.values())))
    late = {moment for moment, of in states.items() if of in newest and newest[of] > moment}
    failed = {one.moment: str(one.told.properties["invoice_id"]) for one in told if one.told.name == PAYMENT_FAILED}
    if failed:
        asked = {"contact": contact_id, "paid": INVOICE_PAID, "ids": sorted(set(failed.values()))}
        paid = set((await tx.execute(_PAID, asked)).scalars())
        paid |= {str(one.told.properties["invoice_id"]) for one in told if one.told.name == INVOICE_PAID}
        late |= {moment for moment, invoice in failed.items() if invoice in paid}
    return late


_OF_STATE = (CHANGED, TRIAL_ENDING)
_HAS_SUBSCRIPTION = text("SELECT 1 FROM stripe_subscription WHERE customer_id = :customer LIMIT 1")
_PAID = text(f"""
    SELECT DISTINCT properties ->> 'invoice_id' FROM event
    WHERE contact_id = :contact AND name = :paid AND properties ->> 'invoice_id' = {any_of("ids")}
""")
