"""Stripe's signed calls to the application, and the control interface for what customers do.

Every event is delivered by itself, so they may overtake each other, as Stripe's do. Each action has a second of its
own, because Stripe's time has whole seconds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.sandbox.core.callbacks import Callbacks, Outgoing
from infra.sandbox.core.journal import Entry, Journal, Place
from infra.sandbox.core.options import Options
from infra.sandbox.stripe import objects
from infra.sandbox.stripe.billing import BadBilling, Billing
from infra.sandbox.stripe.objects import Object


class StripeEvents:
    """The account's events: kept in the journal, and delivered to the application."""

    def __init__(self, options: Options, book: Journal, callbacks: Callbacks) -> None:
        self._options = options
        self._book = book
        self._callbacks = callbacks
        self._events: dict[str, Object] = {}
        self._told: list[Object] = []
        self._last = 0
        self.billing = Billing(self._emit)
        callbacks.builder("stripe", self._build)
        book.subscribe("stripe-event", self._apply)
        book.subscribe("reset", self._reset)

    def routes(self) -> list[Route]:
        """The control interface; Stripe's own API is not here."""
        return [
            Route("/_control/stripe", self._act, methods=["POST"]),
            Route("/_control/stripe", self._list, methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        """All events, oldest first."""
        return JSONResponse({"events": list(self._events.values())})

    async def _act(self, request: Request) -> Response:
        """Something that happens at Stripe: {action, customer?, subscription?, …, backwards?, delay?}.

        - `customer`: {email?, contact_id?}
        - `check_out`: {customer, reference?, subscription?}
        - `subscribe`: {customer, plan?, amount?, interval?, quantity?, currency?, trial_days?, contact_id?}
        - `trial_will_end`, `renew`, `fail`, `recover`: {subscription}
        - `change_plan`: {subscription, plan?, amount?, interval?, quantity?, currency?}
        - `cancel`: {subscription, at_period_end?}
        - `refund`: {customer, amount, charge?}

        With `backwards` the events are delivered in the opposite order, and each one `delay` seconds after the other.
        The answer has the ids of the object and of the events.
        """
        try:
            given = json.loads(await request.body())
            self._told = []
            key = self._perform(str(given["action"]), given, int(given.get("at") or max(time.time(), self._last + 1)))
        except (BadBilling, ValueError, KeyError, TypeError, AttributeError) as problem:
            return JSONResponse({"error": f"{type(problem).__name__}: {problem}"}, 422)
        told = self._told[::-1] if given.get("backwards") else self._told
        if self._options.callback_base:
            for number, event in enumerate(told):
                due = time.time() + self._options.delivery_delay + number * float(given.get("delay") or 0.0)
                self._callbacks.add("stripe", event["id"], due, {"event": event["id"]})
        return JSONResponse({"id": key, "events": [event["id"] for event in told]})

    def _perform(self, action: str, given: dict[str, Any], now: int) -> str:
        billing = self.billing
        match action:
            case "customer":
                return str(billing.customer(now, given.get("email"), given.get("contact_id"))["id"])
            case "check_out":
                said = (given.get("reference"), given.get("subscription"))
                return str(billing.check_out(given["customer"], now, *said)["id"])
            case "subscribe":
                trial, contact_id = int(given.get("trial_days") or 0), given.get("contact_id")
                return billing.subscribe(
                    given["customer"], now, [_chosen(given)], trial_days=trial, contact_id=contact_id
                )
            case "trial_will_end":
                billing.warn_of_trial_end(given["subscription"], now)
            case "renew":
                return billing.renew(given["subscription"], now)
            case "fail":
                return billing.fail(given["subscription"], now)
            case "recover":
                return billing.recover(given["subscription"], now)
            case "change_plan":
                billing.change_plan(given["subscription"], now, [_chosen(given)])
            case "cancel":
                billing.cancel(given["subscription"], now, at_period_end=bool(given.get("at_period_end")))
            case "refund":
                return billing.refund(given["customer"], now, int(given["amount"]), of=given.get("charge"))
            case _:
                raise BadBilling(f"there is no action {action}")
        return str(given["subscription"])

    def _emit(self, event: Object) -> None:
        self._book.write("stripe-event", event=event)
        self._told.append(event)

    def _build(self, args: dict[str, Any]) -> Outgoing | None:
        event = self._events.get(args["event"])
        if event is None or not self._options.callback_base:
            return None
        body = json.dumps(event, indent=2)
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": sign(self._options.stripe_webhook_secret, body, int(time.time())),
        }
        return Outgoing(f"{self._options.callback_base}/webhooks/stripe", headers, body.encode())

    def _apply(self, entry: Entry, place: Place) -> None:
        event = entry["event"]
        self._events[event["id"]] = event
        self._last = max(self._last, event["created"])
        self.billing.apply(event)

    def _reset(self, entry: Entry, place: Place) -> None:
        self._events.clear()
        self.billing.clear()


def sign(secret: str, body: str, at: int) -> str:
    """The `Stripe-Signature` of a body: https://docs.stripe.com/webhooks/signature."""
    digest = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _chosen(given: dict[str, Any]) -> tuple[Object, int]:
    """The price and the quantity that a call names; by default 29.00 dollars a month."""
    chosen = objects.price(
        given.get("amount") or 2900,
        name=given.get("plan") or "pro",
        currency=given.get("currency") or "usd",
        interval=given.get("interval") or "month",
    )
    return chosen, int(given.get("quantity") or 1)
