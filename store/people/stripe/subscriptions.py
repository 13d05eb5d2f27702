"""The newest known state of each subscription, and the attributes of a contact that follow from all of theirs.

The attributes are computed from the newest states only, so they do not depend on the order in which events arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, as_json
from store.people.stripe.stripe_event import Moment, Subscription

ATTRIBUTES = ("plan", "subscription_status", "mrr", "mrr_currency", "trial_ends_on", "renews_on")
"""The attributes that Stripe's events set."""
ENDED = ("canceled", "incomplete_expired")
"""The statuses in which a subscription is over for good."""
_FIRST = {"active": 3, "trialing": 3, "past_due": 3, "unpaid": 2, "paused": 2, "incomplete": 1}
"""Which of several subscriptions is the contact's, by status; an ended one comes last."""


async def keep(tx: AsyncConnection, customer_id: str, state: Subscription, moment: Moment) -> Moment:
    """Store the state, unless a newer one of this subscription is known. Returns the moment of the newest state."""
    values = {
        "id": state.id,
        "customer": customer_id,
        "state": as_json(asdict(state)),
        "created": moment.created,
        "rank": moment.rank,
        "event": moment.event_id,
    }
    await tx.execute(_KEEP, values)
    return (await newest(tx, [state.id]))[state.id]


async def newest(tx: AsyncConnection, ids: Sequence[str]) -> dict[str, Moment]:
    """The moments of the newest known states of these subscriptions."""
    if not ids:
        return {}
    return {row.subscription_id: Moment(*row[1:]) for row in await tx.execute(_NEWEST, {"ids": list(ids)})}


async def attributes_of(tx: AsyncConnection, contact_id: str) -> dict[str, Any]:
    """The contact's attributes by all subscriptions of all customers that are this contact."""
    states = (await tx.execute(_OF_CONTACT, {"contact": contact_id})).scalars()
    return attributes([Subscription(**state) for state in states])


def attributes(states: Sequence[Subscription]) -> dict[str, Any]:
    """The attributes of somebody with these subscriptions; None for those that there are not.

    Of several subscriptions, one that runs (active, on trial or past due) comes before one that does not, and the one
    that began last before the others. `mrr` is the sum over all of them in that one's currency.
    """
    if not states:
        return dict.fromkeys(ATTRIBUTES)
    main = max(states, key=lambda state: (_FIRST.get(state.status, 0), state.started, state.id))
    values: Mapping[str, Any] = {
        "plan": main.plan,
        "subscription_status": main.status,
        "mrr": sum(state.mrr for state in states if state.currency == main.currency),
        "mrr_currency": main.currency,
        "trial_ends_on": main.trial_ends_on,
        "renews_on": main.renews_on,
    }
    return {name: values[name] for name in ATTRIBUTES}


_KEEP = text("""
    INSERT INTO stripe_subscription AS s (subscription_id, customer_id, state, as_of, rank, event_id)
    VALUES (:id, :customer, CAST(:state AS jsonb), :created, :rank, :event)
    ON CONFLICT (subscription_id) DO UPDATE SET
        state = excluded.state, as_of = excluded.as_of, rank = excluded.rank, event_id = excluded.event_id
    WHERE (s.as_of, s.rank, s.event_id COLLATE "C")
        < (excluded.as_of, excluded.rank, excluded.event_id COLLATE "C")
""")
_NEWEST = text(f"""
    SELECT subscription_id, as_of, rank, event_id FROM stripe_subscription WHERE subscription_id = {any_of("ids")}
""")
_OF_CONTACT = text("""
    SELECT s.state FROM stripe_customer c JOIN stripe_subscription s ON s.customer_id = c.customer_id
    WHERE c.contact_id = :contact
""")
