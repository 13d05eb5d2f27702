"""Read Stripe's events: https://docs.stripe.com/api/events/types.

Objects changed their form over the API's versions. An endpoint gets the form of its own version, so the forms before
and since 2025-03-31 are both read. Names, addresses and cards are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from api.webhooks.stripe_subscriptions import part, revenue, state, text, time, whole
from store.people.stripe.stripe_event import (
    CANCELED,
    CHANGED,
    INVOICE_PAID,
    PAYMENT_FAILED,
    REFUNDED,
    STARTED,
    TRIAL_ENDING,
    Moment,
    Names,
    StripeEvent,
    Told,
)
from store.people.stripe.subscriptions import ENDED
from tracks.contacts.contact_fields import check_any_email

_SUBSCRIPTION = {
    "customer.subscription.created": STARTED,
    "customer.subscription.updated": CHANGED,
    "customer.subscription.paused": CHANGED,
    "customer.subscription.resumed": CHANGED,
    "customer.subscription.trial_will_end": TRIAL_ENDING,
    "customer.subscription.deleted": CANCELED,
}
_KINDS = {STARTED: 0, CHANGED: 1, TRIAL_ENDING: 1, CANCELED: 2, PAYMENT_FAILED: 3, INVOICE_PAID: 4, REFUNDED: 5}
"""Which of two events of the same second comes first."""
_STAGES = {"incomplete": 0, "trialing": 1} | dict.fromkeys(ENDED, 3)
"""How far a subscription is by its status; 2 for all others. Within a second it only goes on."""
LONGEST_ID = 128
"""No contact has a longer id."""


def read(event: Any) -> StripeEvent | None:
    """What an event says; None if it is of a kind that is not used, or of nobody who is a customer."""
    found = part(event, "data", "object")
    kind, event_id, created = (
        text(part(event).get("type")),
        text(part(event).get("id")),
        time(part(event).get("created")),
    )
    reader = _READERS.get(kind or "")
    customer = text(found.get("id")) if found.get("object") == "customer" else _id(found.get("customer"))
    if reader is None or event_id is None or created is None or customer is None:
        return None
    told = reader(kind or "", found, part(event, "data", "previous_attributes"))
    subscription = state(found) if kind in _SUBSCRIPTION else None
    if subscription is not None and not subscription.id:
        return None
    stage = _STAGES.get(subscription.status, 2) if subscription else 0
    rank = 10 * _KINDS[told.name] + stage if told else 0
    return StripeEvent(Moment(created, rank, event_id), customer, _names(found), subscription, told)


def is_used(event: Any) -> bool:
    """Whether events of this kind are used."""
    return part(event).get("type") in _READERS


def _names(found: Mapping[str, Any]) -> Names:
    customer = found if found.get("object") == "customer" else part(found, "customer")
    noted = (
        part(found, "metadata"),
        part(found, "parent", "subscription_details", "metadata"),
        part(found, "subscription_details", "metadata"),
        part(customer, "metadata"),
    )
    emails = (
        customer.get("email"),
        found.get("customer_email"),
        part(found, "customer_details").get("email"),
        part(found, "billing_details").get("email"),
        found.get("receipt_email"),
    )
    return Names(
        named_id=next((one for one in (_contact_id(data.get("contact_id")) for data in noted) if one), None),
        reference_id=_contact_id(found.get("client_reference_id")),
        email=next((one for one in map(_email, emails) if one), None),
    )


def _subscription(kind: str, found: Mapping[str, Any], before: Mapping[str, Any]) -> Told:
    now = state(found)
    properties: dict[str, Any] = {
        "subscription_id": now.id,
        "status": now.status,
        "plan": now.plan,
        "amount": revenue(found),
        "mrr": now.mrr,
        "currency": now.currency,
        "trial_ends_on": now.trial_ends_on,
        "renews_on": now.renews_on,
        "cancels": bool(found.get("cancel_at_period_end")) or found.get("cancel_at") is not None,
    }
    name = _SUBSCRIPTION[kind]
    if name == CHANGED:
        properties["changed"] = sorted(filter(None, map(text, before)))
        properties["previous_status"] = text(before.get("status"))
    elif name == CANCELED:
        properties["reason"] = text(part(found, "cancellation_details").get("reason"))
    return _told(name, properties)


def _invoice(kind: str, found: Mapping[str, Any], _before: Mapping[str, Any]) -> Told:
    paid = kind == "invoice.paid"
    due = whole(found.get("amount_remaining")) or whole(found.get("amount_due"))
    properties: dict[str, Any] = {
        "invoice_id": text(found.get("id")) or "",
        "subscription_id": _id(part(found, "parent", "subscription_details").get("subscription"))
        or _id(found.get("subscription")),
        "amount": (whole(found.get("amount_paid")) if paid else due) or 0,
        "currency": text(found.get("currency")),
        "attempt": whole(found.get("attempt_count")) or 0,
        "reason": text(found.get("billing_reason")),
    }
    again = None if paid else time(found.get("next_payment_attempt"))
    if again is not None:
        properties["next_attempt_at"] = again.isoformat().replace("+00:00", "Z")
    return _told(INVOICE_PAID if paid else PAYMENT_FAILED, properties)


def _refund(_kind: str, found: Mapping[str, Any], before: Mapping[str, Any]) -> Told:
    total = whole(found.get("amount_refunded")) or 0
    properties = {
        "charge_id": text(found.get("id")),
        "invoice_id": _id(found.get("invoice")),
        "amount": total - (whole(before.get("amount_refunded")) or 0),
        "refunded": total,
        "full": bool(found.get("refunded")),
        "currency": text(found.get("currency")),
    }
    return _told(REFUNDED, properties)


def _nothing(_kind: str, _found: Mapping[str, Any], _before: Mapping[str, Any]) -> None:
    """An event that only says who the customer is."""


def _told(name: str, properties: Mapping[str, Any]) -> Told:
    return Told(name, {key: value for key, value in properties.items() if value is not None})


def _id(value: Any) -> str | None:
    """The id of an object that is named, or is there as a whole."""
    return text(value.get("id")) if isinstance(value, Mapping) else text(value)


def _contact_id(value: Any) -> str | None:
    found = text(value, LONGEST_ID + 1)
    return found if found and len(found) <= LONGEST_ID else None


def _email(value: Any) -> str | None:
    try:
        return check_any_email(value) if isinstance(value, str) and len(value) <= 300 else None
    except ValueError:
        return None


_Reader = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Told | None]
_READERS: Mapping[str, _Reader] = {
    **dict.fromkeys(_SUBSCRIPTION, _subscription),
    "invoice.paid": _invoice,
    "invoice.payment_failed": _invoice,
    "charge.refunded": _refund,
    "checkout.session.completed": _nothing,
    "customer.created": _nothing,
    "customer.updated": _nothing,
}
