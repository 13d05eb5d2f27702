"""Stripe's events set a contact's attributes and become events, in any order and once each; forged ones do nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from store.engine.database import Database
from tests.api.client import Api
from tests.api.messages import rows
from tests.api.stripe_calls import BEGAN, DAY, PRO, Account, counted, post, post_all

ATTRIBUTES = {
    "plan": "pro",
    "subscription_status": "active",
    "mrr": 2900,
    "mrr_currency": "usd",
    "renews_on": "2025-12-24",
}


async def attributes(api: Api, contact_id: str = "user-1") -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"/v1/contacts/{contact_id}")).json()["attributes"]
    return found


async def told(db: Database) -> list[tuple[Any, Any]]:
    return [
        (name, properties)
        for name, properties in await rows(db, "SELECT name, properties FROM event ORDER BY occurred_at, name")
    ]


async def test_a_subscription_sets_the_contacts_attributes_and_is_told(api: Api, db: Database) -> None:
    await api.contact("user-1", attributes={"city": "Bern"})
    account = Account()
    _, subscription = account.subscriber(contact_id="user-1")
    await post_all(api.client, account.events)
    assert await attributes(api) == ATTRIBUTES | {"city": "Bern"}
    named = dict(await told(db))
    assert set(named) == {"stripe.subscription_started", "stripe.subscription_changed", "stripe.invoice_paid"}
    changed = named["stripe.subscription_changed"]
    assert (changed["subscription_id"], changed["changed"], changed["previous_status"]) == (
        subscription,
        ["status"],
        "incomplete",
    )
    paid = named["stripe.invoice_paid"]
    assert (paid["amount"], paid["currency"], paid["attempt"]) == (2900, "usd", 1)
    ((first,),) = await rows(db, "SELECT min(extract(epoch FROM occurred_at))::bigint FROM event")
    assert first == BEGAN + 60


async def test_a_failed_payment_begins_a_track_and_its_recovery_ends_it(api: Api, db: Database) -> None:
    published = await api.publish(
        "track: churn-risk\nentry: {event: stripe.payment_failed}\nreentry: always\n"
        "goal: {event: stripe.invoice_paid, where: 'event.properties.amount > 0'}\n"
        "steps:\n  - id: rest\n    wait: 5d\n"
    )
    assert published.status_code == 201, published.text
    await api.contact("user-1")
    account = Account()
    _, subscription = account.subscriber(contact_id="user-1")
    now = int(time.time())
    invoice = account.billing.fail(subscription, now - 3 * DAY)
    account.billing.fail(subscription, now - 2 * DAY)
    await post_all(api.client, account.events)
    assert (await attributes(api))["subscription_status"] == "past_due"
    failed = [properties for name, properties in await told(db) if name == "stripe.payment_failed"]
    assert [(one["invoice_id"], one["attempt"], one["amount"]) for one in failed] == [
        (invoice, 1, 2900),
        (invoice, 2, 2900),
    ]
    assert await rows(db, "SELECT track, goal_reached_at FROM enrollment") == [("churn-risk", None)]
    account.events.clear()
    account.billing.recover(subscription, now - DAY)
    await post_all(api.client, account.events)
    assert await rows(db, "SELECT count(*) FROM enrollment WHERE goal_reached_at IS NOT NULL") == [(1,)]
    assert (await attributes(api))["subscription_status"] == "active"


def life(contact_id: str) -> Account:
    """All that can happen to a subscription, up to its end."""
    account = Account()
    customer, subscription = account.subscriber(contact_id=contact_id, trial_days=14)
    account.billing.warn_of_trial_end(subscription, BEGAN + 11 * DAY)
    account.billing.renew(subscription, BEGAN + 15 * DAY)
    account.billing.change_plan(subscription, BEGAN + 20 * DAY, [(PRO, 3)])
    account.billing.fail(subscription, BEGAN + 45 * DAY)
    account.billing.recover(subscription, BEGAN + 48 * DAY)
    account.billing.cancel(subscription, BEGAN + 50 * DAY, at_period_end=True)
    account.billing.refund(customer, BEGAN + 51 * DAY, 500)
    return account


async def test_every_order_of_a_subscriptions_life_gives_the_same_attributes(api: Api) -> None:
    chance = random.Random(7)
    for number in range(8):
        contact_id = f"user-{number}"
        await api.contact(contact_id)
        account = life(contact_id)
        if number % 2:  # also where its end comes before other news
            account.billing.cancel(
                account.of("customer.subscription.created")[0]["data"]["object"]["id"], BEGAN + 75 * DAY
            )
        events = account.events[::-1] if number < 2 else chance.sample(account.events, len(account.events))
        await post_all(api.client, [*events, chance.choice(events)])
        found = await attributes(api, contact_id)
        over = {"subscription_status": "canceled", "mrr": 0} if number % 2 else {}
        assert (
            found
            == {
                "plan": "pro",
                "subscription_status": "active",
                "mrr": 8700,
                "mrr_currency": "usd",
                "trial_ends_on": "2025-12-08",
            }
            | over
        ), [event["type"] for event in events]


async def test_events_that_arrive_at_the_same_time_give_the_same_attributes(api: Api, db: Database) -> None:
    await api.contact("user-1", email="ada@example.com")
    account = Account()
    for _ in range(2):  # two customers who are the same contact
        _, subscription = account.subscriber("ada@example.com")
        account.billing.fail(subscription, BEGAN + 31 * DAY)
        account.billing.recover(subscription, BEGAN + 34 * DAY)
    answers = await asyncio.gather(*(post(api.client, event) for event in [*account.events, *account.events[::-1]]))
    assert {answer.status_code for answer in answers} == {204}
    assert await attributes(api) == ATTRIBUTES | {"mrr": 5800, "renews_on": "2026-01-24"}
    assert await rows(db, "SELECT 1 FROM stripe_waiting") == []
    assert len(await rows(db, "SELECT 1 FROM event WHERE name = 'stripe.invoice_paid'")) == 4


async def test_what_is_no_longer_true_is_counted_and_starts_nothing(api: Api, db: Database, app: FastAPI) -> None:
    await api.contact("user-1")
    account = Account()
    _, subscription = account.subscriber(contact_id="user-1")
    account.billing.fail(subscription, BEGAN + 31 * DAY)
    account.billing.recover(subscription, BEGAN + 34 * DAY)
    await post_all(api.client, account.events[::-1])
    names = [name for name, _ in await told(db)]
    assert "stripe.payment_failed" not in names
    assert names.count("stripe.subscription_changed") == 1 and "stripe.subscription_started" in names
    assert counted(app, "overtaken") == 4  # one failed payment, three former states
    assert await rows(db, "SELECT sum(count) FROM dropped WHERE reason = 'overtaken' AND kind = 'stripe'") == [(4,)]


async def test_a_repeated_event_changes_nothing(api: Api, db: Database) -> None:
    await api.contact("user-1")
    account = life("user-1")
    await post_all(api.client, account.events)
    before = (await told(db), await attributes(api))
    await api.contact("user-1", attributes={"plan": "of ours"})
    await post_all(api.client, [event for event in account.events if event["type"] != "customer.subscription.updated"])
    assert (await told(db), (await attributes(api))["plan"]) == (before[0], "of ours")


async def test_of_several_subscriptions_the_running_one_names_the_plan_and_all_make_the_revenue(api: Api) -> None:
    await api.contact("user-1", email="Ada@example.com")
    account = Account()
    account.subscriber("ada@example.com")
    other = account.billing.customer(BEGAN, "ada@example.com")["id"]  # a second customer who is the same contact
    second = account.billing.subscribe(
        other, BEGAN + DAY, [(PRO | {"lookup_key": "extra", "unit_amount_decimal": "100"}, 2)]
    )
    await post_all(api.client, account.events)
    found = await attributes(api)
    assert (found["plan"], found["mrr"]) == ("extra", 3100)
    account.events.clear()
    account.billing.cancel(second, BEGAN + 2 * DAY)
    await post_all(api.client, account.events)
    found = await attributes(api)
    assert (found["plan"], found["mrr"], found["subscription_status"]) == ("pro", 2900, "active")


async def test_a_refund_tells_what_was_given_back_this_time(api: Api, db: Database) -> None:
    await api.contact("user-1")
    account = Account()
    customer = account.billing.customer(BEGAN, contact_id="user-1")["id"]
    charge = account.billing.refund(customer, BEGAN + DAY, 1000)
    account.billing.refund(customer, BEGAN + 2 * DAY, 400, of=charge)
    account.billing.refund(customer, BEGAN + 3 * DAY, 600, of=charge)
    await post_all(api.client, account.events)
    found = [properties for _, properties in await told(db)]
    assert [(one["amount"], one["refunded"], one["full"]) for one in found] == [
        (1000, 1000, False),
        (400, 1400, False),
        (600, 2000, True),
    ]


async def test_nothing_of_a_stranger_is_stored_but_kept_until_the_contact_is_there(
    api: Api, db: Database, app: FastAPI
) -> None:
    account = Account()
    account.subscriber("ada@example.com")
    await post_all(api.client, account.events)
    assert await rows(db, "SELECT 1 FROM contact UNION ALL SELECT 1 FROM event") == []
    assert counted(app, "waiting") == len(account.events)
    ((kept,),) = await rows(db, "SELECT string_agg(w::text, ' ') FROM stripe_waiting w")
    assert "ada@" not in str(kept) and "Ada Example" not in str(kept)
    await api.contact("user-1", email="ada@example.com")
    account.billing.rename(account.events[0]["data"]["object"]["id"], BEGAN + DAY, name="Ada B. Example")
    await post_all(api.client, account.events[-1:])
    assert await attributes(api) == ATTRIBUTES
    assert len(await told(db)) == 3 and await rows(db, "SELECT 1 FROM stripe_waiting") == []


async def test_a_checkouts_reference_names_the_contact(api: Api, db: Database) -> None:
    await api.contact("user-1")
    account = Account()
    customer, subscription = account.subscriber("nobody-here@example.com")
    account.billing.check_out(customer, BEGAN + 90, "user-1", subscription)
    await post_all(api.client, account.events)
    assert await attributes(api) == ATTRIBUTES and len(await told(db)) == 3


async def test_the_id_in_the_metadata_comes_before_the_reference_and_that_before_the_address(api: Api) -> None:
    account = Account()
    for contact_id in ("by-email", "by-reference", "by-metadata"):
        await api.contact(contact_id, **({"email": "ada@example.com"} if contact_id == "by-email" else {}))
    customer, _ = account.subscriber("ada@example.com")
    steps: list[tuple[str, Callable[[], object]]] = [
        ("by-email", lambda: None),
        ("by-reference", lambda: account.billing.check_out(customer, BEGAN + 90, "by-reference")),
        ("by-metadata", lambda: account.billing.rename(customer, BEGAN + 95, metadata={"contact_id": "by-metadata"})),
        ("by-metadata", lambda: account.billing.check_out(customer, BEGAN + 99, "by-reference")),
    ]
    for wanted, step in steps:
        step()
        await post_all(api.client, account.events)
        account.events.clear()
        having = {one for one in ("by-email", "by-reference", "by-metadata") if await attributes(api, one)}
        assert having == {wanted}


async def test_an_erased_person_is_not_made_anew(api: Api, db: Database, app: FastAPI) -> None:
    await api.contact("user-1", email="ada@example.com")
    account = Account()
    _, subscription = account.subscriber("ada@example.com", contact_id="user-1")
    await post_all(api.client, account.events)
    await api.call("DELETE", "/v1/contacts/user-1")
    tables = ("stripe_customer", "stripe_subscription", "stripe_waiting", "contact")
    for _ in range(2):
        assert [await rows(db, f"SELECT 1 FROM {table}") for table in tables] == [[], [], [], []]
        account.billing.fail(subscription, BEGAN + 31 * DAY)
        await post_all(api.client, [event for event in account.events if event["type"] != "customer.created"])
    assert counted(app, "erased") > 0


async def test_what_cannot_be_used_is_taken_and_counted(api: Api, app: FastAPI) -> None:
    customer = Account().billing.customer(BEGAN)
    unused: list[Any] = [[], {}, {"object": "v2.core.event", "id": "evt_1"}, {"type": "charge.captured", "id": "evt_2"}]
    for event in unused:
        assert (await post(api.client, event)).status_code == 204
    guest = {
        "id": "evt_3",
        "type": "charge.refunded",
        "created": BEGAN,
        "data": {"object": customer | {"object": "charge"}},
    }
    assert (await post(api.client, guest)).status_code == 204
    assert (counted(app, "not-used"), counted(app, "no-customer")) == (4, 1)
