"""One event of Stripe as it was read: whose it is, the state of a subscription in it, and what tracks are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

STARTED = "stripe.subscription_started"
CHANGED = "stripe.subscription_changed"
CANCELED = "stripe.subscription_canceled"
TRIAL_ENDING = "stripe.trial_ending"
INVOICE_PAID = "stripe.invoice_paid"
PAYMENT_FAILED = "stripe.payment_failed"
REFUNDED = "stripe.refunded"


class Moment(NamedTuple):
    """The place of an event among those of the same object, whatever the order of arrival; the greater is the newer.

    Stripe's `created` has whole seconds. Within one second, the kind of the event and the subscription's status decide
    (`rank`), and at last the event's id, so that every order of arrival gives the same result.
    """

    created: datetime
    rank: int
    event_id: str


@dataclass(frozen=True, slots=True)
class Names:
    """What the event says about who the customer is; None where it says nothing."""

    named_id: str | None = None
    """The contact's id in the metadata (`contact_id`)."""
    reference_id: str | None = None
    """The client reference of a checkout, taken as a contact's id."""
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """The state of one subscription. Dates are ISO 8601 in UTC; `mrr` is in minor units of the currency, per month."""

    id: str
    status: str
    started: int
    """When it began, in seconds since 1970."""
    plan: str | None = None
    mrr: int = 0
    currency: str | None = None
    trial_ends_on: str | None = None
    renews_on: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What tracks are told: the event's name and its properties."""

    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """An event of one customer. `told` is None if it only says who the customer is."""

    moment: Moment
    customer_id: str
    names: Names = Names()
    subscription: Subscription | None = None
    told: Told | None = None
