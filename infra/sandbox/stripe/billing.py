"""Customers and their subscriptions, as they live at Stripe: each action gives the events that Stripe would send."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.sandbox.stripe import objects
from infra.sandbox.stripe.objects import DAY, Object

HOUR = 3600
"""Seconds between the beginning of a period and the first try to collect its payment."""
RETRY_AFTER = 3 * DAY
"""Seconds until Stripe tries a failed payment again."""


class BadBilling(Exception):
    """There is no such object, or the action does not fit its state."""


class Billing:
    """The account's objects. `emit` gets each event; whoever keeps them gives them back by `apply`."""

    def __init__(self, emit: Callable[[Object], None]) -> None:
        self._emit = emit
        self._objects: dict[str, Object] = {}

    def apply(self, event: Object) -> None:
        """Take over the state that an event says."""
        found = event["data"]["object"]
        self._objects[found["id"]] = found

    def clear(self) -> None:
        """Forget all objects."""
        self._objects.clear()

    def customer(self, now: int, email: str | None = None, contact_id: str | None = None) -> Object:
        """A new customer; `contact_id` goes into its metadata."""
        metadata = {"contact_id": contact_id} if contact_id else {}
        key = "cus_" + objects.new_id("c")[3:17]
        return self._say("customer.created", objects.customer(key, now, email, metadata), now)

    def rename(self, customer: str, now: int, **changed: Any) -> Object:
        """Change fields of a customer, such as its email address or metadata."""
        return self._change("customer.updated", self._get(customer), now, changed)

    def check_out(self, customer: str, now: int, reference: str | None, subscription: str | None = None) -> Object:
        """Complete a checkout with a client reference."""
        of = self._get(subscription) if subscription else None
        session = objects.checkout_session(self._get(customer), now, reference, of)
        return self._say("checkout.session.completed", session, now)

    def subscribe(
        self,
        customer: str,
        now: int,
        prices: Sequence[tuple[Object, int]],
        *,
        trial_days: int = 0,
        contact_id: str | None = None,
    ) -> str:
        """Begin a subscription: on trial, or incomplete and, in the same second, paid and active. Returns its id."""
        key, payer = objects.new_id("sub"), self._get(customer)
        trial_end = now + trial_days * DAY if trial_days else None
        first = objects.subscription(
            key,
            customer,
            now,
            list(prices),
            status="trialing" if trial_end else "incomplete",
            trial_end=trial_end,
            metadata={"contact_id": contact_id} if contact_id else {},
        )
        bill = objects.invoice(objects.new_id("in"), first, payer, now, 0 if trial_end else _due(first), _CREATED)
        self._say("customer.subscription.created", first | {"latest_invoice": bill["id"]}, now)
        self._pay(bill, now)
        if not trial_end:
            self._change("customer.subscription.updated", self._get(key), now, {"status": "active"})
        return key

    def warn_of_trial_end(self, subscription: str, now: int) -> None:
        """Tell that the trial ends in three days."""
        self._say("customer.subscription.trial_will_end", self._get(subscription), now)

    def renew(self, subscription: str, now: int) -> str:
        """Pay for the next period, which began an hour ago. Returns the invoice's id."""
        key = self._next_period(subscription, now - HOUR)
        self._pay(self._get(key), now)
        return key

    def fail(self, subscription: str, now: int) -> str:
        """Fail to collect a payment: of the next period, or once more of the one that is past due. Returns the
        invoice's id."""
        found = self._get(subscription)
        key = found["latest_invoice"] if found["status"] == "past_due" else self._next_period(subscription, now - HOUR)
        bill = self._get(key)
        tried = {
            "attempt_count": bill["attempt_count"] + 1,
            "attempted": True,
            "next_payment_attempt": now + RETRY_AFTER,
        }
        self._say("invoice.payment_failed", bill | tried, now)
        if found["status"] != "past_due":
            self._change("customer.subscription.updated", self._get(subscription), now, {"status": "past_due"})
        return str(key)

    def recover(self, subscription: str, now: int) -> str:
        """Collect the payment that had failed. Returns the invoice's id."""
        found = self._get(subscription)
        if found["status"] != "past_due":
            raise BadBilling(f"{subscription} is not past due")
        self._pay(self._get(found["latest_invoice"]), now)
        self._change("customer.subscription.updated", found, now, {"status": "active"})
        return str(found["latest_invoice"])

    def change_plan(self, subscription: str, now: int, prices: Sequence[tuple[Object, int]]) -> None:
        """Change to other prices within the period."""
        found = self._get(subscription)
        old = found["items"]["data"][0]
        span = (old["current_period_start"], old["current_period_end"])
        items = [objects.item(subscription, of, quantity, *span) for of, quantity in prices]
        self._change("customer.subscription.updated", found, now, {"items": found["items"] | {"data": items}})

    def cancel(self, subscription: str, now: int, *, at_period_end: bool = False) -> None:
        """End a subscription: now, or not renew it."""
        found = self._get(subscription)
        reason = found["cancellation_details"] | {"reason": "cancellation_requested"}
        said: Object = {"canceled_at": now, "cancellation_details": reason}
        if at_period_end:
            end = found["items"]["data"][0]["current_period_end"]
            said |= {"cancel_at": end, "cancel_at_period_end": True}
            self._change("customer.subscription.updated", found, now, said)
        else:
            self._say("customer.subscription.deleted", found | said | {"ended_at": now, "status": "canceled"}, now)

    def refund(self, customer: str, now: int, amount: int, *, of: str | None = None, currency: str = "usd") -> str:
        """Give back an amount of a payment; without `of`, of a new one of twice the amount. Returns the charge's id."""
        paid = self._get(of) if of else None
        paid = paid or objects.charge(objects.new_id("ch"), self._get(customer), now, 2 * amount, currency)
        total = paid["amount_refunded"] + amount
        if total > paid["amount"]:
            raise BadBilling("more than was paid")
        done = {"amount_refunded": total, "refunded": total == paid["amount"]}
        self._say("charge.refunded", paid | done, now, {name: paid[name] for name in done if paid[name] != done[name]})
        return str(paid["id"])

    def _next_period(self, subscription: str, now: int) -> str:
        """Move a subscription on into its next period, with an open invoice. Returns the invoice's id."""
        found = self._get(subscription)
        listed = [
            one | {"current_period_start": now, "current_period_end": objects.period_end(now, one["price"])}
            for one in found["items"]["data"]
        ]
        key = objects.new_id("in")
        said = {"items": found["items"] | {"data": listed}, "latest_invoice": key, "status": "active"}
        new = self._change("customer.subscription.updated", found, now, said)
        bill = objects.invoice(key, new, self._get(found["customer"]), now, _due(new), "subscription_cycle")
        self._say("invoice.created", bill, now)
        return key

    def _pay(self, bill: Object, now: int) -> None:
        paid = {"amount_paid": bill["amount_due"], "amount_remaining": 0, "status": "paid", "attempted": True}
        tries = {"attempt_count": bill["attempt_count"] + bool(bill["amount_due"]), "next_payment_attempt": None}
        self._say("invoice.paid", bill | paid | tries, now)

    def _change(self, kind: str, found: Object, now: int, said: Mapping[str, Any]) -> Object:
        before = {name: found[name] for name, value in said.items() if found[name] != value}
        return self._say(kind, found | dict(said), now, before)

    def _say(self, kind: str, found: Object, now: int, before: Object | None = None) -> Object:
        event = objects.event(kind, copy.deepcopy(found), now, copy.deepcopy(before))
        self._emit(event)
        kept: Object = event["data"]["object"]
        return kept

    def _get(self, key: str) -> Object:
        found = self._objects.get(key)
        if found is None:
            raise BadBilling(f"there is no {key}")
        return found


_CREATED = "subscription_create"


def _due(subscription: Object) -> int:
    """What a period costs, for prices of whole amounts."""
    items = subscription["items"]["data"]
    return sum((one["price"]["unit_amount"] or 0) * one.get("quantity", 0) for one in items)
