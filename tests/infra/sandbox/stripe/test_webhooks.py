"""The sandbox's billing as Stripe's own library sees it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import stripe

from infra.sandbox.core.options import Options
from tests.infra.sandbox.receiver import Received, Receiver
from tests.sandbox_server import SandboxServer, eventually

SECRET = Options.stripe_webhook_secret


def act(sandbox: SandboxServer, action: str, **more: Any) -> dict[str, Any]:
    """Something that happens at Stripe: the ids of the object and of the events."""
    answer = sandbox.http.post("/_control/stripe", json={"action": action, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def delivered(receiver: Receiver, ids: list[str]) -> list[Received]:
    """The calls with these events, in the order of arrival."""

    def found() -> list[Received]:
        calls = [call for call in receiver.at("/webhooks/stripe") if call.json()["id"] in ids]
        return calls if len(calls) >= len(ids) else []

    calls: list[Received] = eventually(found)
    return calls


def test_an_event_is_signed_so_that_stripes_library_takes_it(sandbox: SandboxServer, receiver: Receiver) -> None:
    (call,) = delivered(receiver, act(sandbox, "customer", email="ada@example.com", contact_id="user-1")["events"])
    event: Any = stripe.Webhook.construct_event(call.body, call.headers["stripe-signature"], SECRET)
    assert (event.type, event.data.object.email) == ("customer.created", "ada@example.com")
    assert event.data.object.metadata["contact_id"] == "user-1"
    for body, secret in ((call.body + b" ", SECRET), (call.body, "whsec_other")):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, call.headers["stripe-signature"], secret)


def test_a_subscription_lives_as_at_stripe(sandbox: SandboxServer, receiver: Receiver) -> None:
    customer = act(sandbox, "customer", email="ada@example.com")["id"]
    begun = act(sandbox, "subscribe", customer=customer, plan="team", amount=9900, trial_days=14)
    key, ids = begun["id"], begun["events"]
    for action in ("trial_will_end", "renew", "fail", "fail", "recover", "change_plan", "cancel"):
        ids += act(sandbox, action, subscription=key)["events"]
    charge = act(sandbox, "refund", customer=customer, amount=500)
    ids += charge["events"] + act(sandbox, "refund", customer=customer, amount=500, charge=charge["id"])["events"]
    events = sorted((call.json() for call in delivered(receiver, ids)), key=lambda one: ids.index(one["id"]))
    told = [(one["type"].removeprefix("customer."), one["data"]["object"].get("status")) for one in events]
    assert told == [
        ("subscription.created", "trialing"),
        ("invoice.paid", "paid"),
        ("subscription.trial_will_end", "trialing"),
        ("subscription.updated", "active"),
        ("invoice.created", "open"),
        ("invoice.paid", "paid"),
        ("subscription.updated", "active"),
        ("invoice.created", "open"),
        ("invoice.payment_failed", "open"),
        ("subscription.updated", "past_due"),
        ("invoice.payment_failed", "open"),
        ("invoice.paid", "paid"),
        ("subscription.updated", "active"),
        ("subscription.updated", "active"),
        ("subscription.deleted", "canceled"),
        ("charge.refunded", "succeeded"),
        ("charge.refunded", "succeeded"),
    ]
    tries = [one["data"]["object"]["attempt_count"] for one in events if one["type"] == "invoice.payment_failed"]
    refunds = [one["data"] for one in events if one["type"] == "charge.refunded"]
    assert tries == [1, 2] and refunds[1]["previous_attributes"] == {"amount_refunded": 500, "refunded": False}
    assert [one["object"]["refunded"] for one in refunds] == [False, True]


def test_objects_have_only_fields_that_stripes_library_knows(sandbox: SandboxServer) -> None:
    customer = act(sandbox, "customer")["id"]
    act(sandbox, "fail", subscription=act(sandbox, "subscribe", customer=customer)["id"])
    act(sandbox, "check_out", customer=customer, reference="user-1")
    act(sandbox, "refund", customer=customer, amount=100)
    known: dict[str, Any] = {
        "customer": stripe.Customer,
        "subscription": stripe.Subscription,
        "subscription_item": stripe.SubscriptionItem,
        "price": stripe.Price,
        "invoice": stripe.Invoice,
        "charge": stripe.Charge,
        "checkout.session": stripe.checkout.Session,
        "event": stripe.Event,
    }
    seen = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if kind := known.get(str(value.get("object"))):
                seen.add(value["object"])
                assert set(value) <= set(kind.__annotations__) | {"object"}, value["object"]
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(sandbox.http.get("/_control/stripe").json()["events"])
    assert seen == set(known)


def test_events_may_be_delivered_backwards(sandbox: SandboxServer, receiver: Receiver) -> None:
    customer = act(sandbox, "customer")["id"]
    ids = act(sandbox, "subscribe", customer=customer, backwards=True, delay=0.1)["events"]
    types = [call.json()["type"] for call in delivered(receiver, ids)]
    assert types == ["customer.subscription.updated", "invoice.paid", "customer.subscription.created"]


def test_each_action_has_a_second_of_its_own(sandbox: SandboxServer) -> None:
    ids = [act(sandbox, "customer")["events"][0] for _ in range(3)]
    listed = {one["id"]: one["created"] for one in sandbox.http.get("/_control/stripe").json()["events"]}
    times = [listed[one] for one in ids]
    assert times == sorted(set(times)) and times[0] >= int(time.time()) - 60


def test_what_does_not_fit_is_refused(sandbox: SandboxServer) -> None:
    customer = act(sandbox, "customer")["id"]
    subscription = act(sandbox, "subscribe", customer=customer)["id"]
    refused: list[Any] = [
        {"action": "dance"},
        {"action": "renew"},
        {"action": "renew", "subscription": "sub_0"},
        {"action": "recover", "subscription": subscription},
        {"action": "refund", "customer": customer, "amount": "much"},
        [],
    ]
    for wrong in refused:
        assert sandbox.http.post("/_control/stripe", json=wrong).status_code == 422, wrong


def test_customers_are_there_again_after_a_restart(tmp_path: Path) -> None:
    with SandboxServer(tmp_path) as server:
        customer = act(server, "customer")["id"]
        subscription = act(server, "subscribe", customer=customer)["id"]
    with SandboxServer(tmp_path) as again:
        act(again, "fail", subscription=subscription)
        act(again, "recover", subscription=subscription)
        again.reset()
        assert again.http.get("/_control/stripe").json() == {"events": []}
