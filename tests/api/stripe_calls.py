"""Calls as Stripe makes them, with events as the sandbox builds them."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
from fastapi import FastAPI
from stripe import WebhookSignature

from infra.sandbox.stripe import objects
from infra.sandbox.stripe.billing import Billing
from infra.sandbox.stripe.objects import Object
from tests.api.conftest import STRIPE_SECRET

BEGAN = 1_764_000_000
"""When the story of a customer begins: 2025-11-24, 16:00 UTC."""
DAY = objects.DAY
PRO = objects.price(2900, name="pro")


class Account:
    """An account at Stripe that keeps its events instead of delivering them."""

    def __init__(self) -> None:
        self.events: list[Object] = []
        self.billing = Billing(self._emit)

    def _emit(self, event: Object) -> None:
        self.events.append(event)
        self.billing.apply(event)

    def of(self, kind: str) -> list[Object]:
        """The events of one kind."""
        return [event for event in self.events if event["type"] == kind]

    def subscriber(self, email: str | None = None, contact_id: str | None = None, **more: Any) -> tuple[str, str]:
        """A customer with a subscription to `PRO`: their ids. A contact's id is in the metadata of both."""
        customer = str(self.billing.customer(BEGAN, email, contact_id)["id"])
        return customer, self.billing.subscribe(customer, BEGAN + 60, [(PRO, 1)], contact_id=contact_id, **more)


def signature(body: str, secret: str = STRIPE_SECRET, age: float = 0) -> str:
    """The header with which Stripe's own library signs, so many seconds ago."""
    return str(WebhookSignature.generate_signature_header(body, secret, int(time.time() - age)))


async def post(client: httpx.AsyncClient, event: Object, **how: Any) -> httpx.Response:
    """Call as Stripe does."""
    body = json.dumps(event, indent=2)
    return await client.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": signature(body, **how)})


async def post_all(client: httpx.AsyncClient, events: list[Object]) -> None:
    """Deliver events in this order; each is taken."""
    for event in events:
        answer = await post(client, event)
        assert answer.status_code == 204, answer.text


def counted(app: FastAPI, reason: str) -> float:
    """How many of Stripe's events were not used as they came, for this reason."""
    found = app.state.context.metrics.registry.get_sample_value(
        "perennial_rejected_total", {"source": "stripe", "reason": reason}
    )
    return float(found or 0)
