"""What is read of Stripe's events, in the forms of its API's versions."""

from __future__ import annotations

import copy
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.webhooks.stripe_events import read
from api.webhooks.stripe_subscriptions import revenue, state
from infra.sandbox.stripe import objects
from infra.sandbox.stripe.objects import Object, price
from store.people.stripe.stripe_event import StripeEvent
from tests.api.stripe_calls import BEGAN, DAY, Account

LICENSED = price(2900)


def subscription(*prices: tuple[Object, int], status: str = "active", **more: Any) -> Object:
    made = objects.subscription("sub_1", "cus_1", BEGAN, list(prices), status=status, trial_end=None, metadata={})
    return made | more


def older(found: Object) -> Object:
    """A subscription as it was before the API version 2025-03-31: the period beside the items, and plans in these."""
    old = copy.deepcopy(found)
    for item in old["items"]["data"]:
        of = item.pop("price")
        old["current_period_end"] = item.pop("current_period_end")
        item["plan"] = {
            "id": of["id"],
            "object": "plan",
            "amount": of["unit_amount"],
            "amount_decimal": of["unit_amount_decimal"],
            "nickname": of["lookup_key"],
            **{name: of["recurring"][name] for name in ("interval", "interval_count", "usage_type")},
        }
    return old


@pytest.mark.parametrize(
    ("prices", "monthly"),
    [
        ([(LICENSED, 1)], 2900),
        ([(LICENSED, 0)], 0),
        ([(LICENSED, 3), (price(500), 2)], 9700),
        ([(price(29_000, interval="year"), 1)], 2417),
        ([(price(9000, interval="month", interval_count=3), 1)], 3000),
        ([(price(1000, interval="week"), 1)], 4333),
        ([(price(1000, interval="week", interval_count=2), 3)], 6500),
        ([(price(100, interval="day"), 1)], 3042),
        ([(price("0.5"), 1001)], 501),  # rounded once, half up
        ([(price("0.25"), 1), (price("0.25"), 1)], 1),
        ([(LICENSED, 1), (price(700, metered=True), 1), (price(0, tiered=True), 40)], 2900),
        ([(LICENSED | {"transform_quantity": {"divide_by": 10, "round": "up"}}, 21)], 8700),
        ([(LICENSED | {"transform_quantity": {"divide_by": 10, "round": "down"}}, 21)], 5800),
    ],
)
def test_the_monthly_revenue_is_the_sum_of_the_items_in_minor_units(
    prices: list[tuple[Object, int]], monthly: int
) -> None:
    found = subscription(*prices)
    assert revenue(found) == monthly
    if not any(of["transform_quantity"] for of, _ in prices):
        assert revenue(older(found)) == monthly


@settings(max_examples=40)
@given(
    amounts=st.lists(
        st.tuples(st.decimals(0, 10**7, places=4), st.integers(0, 999), st.sampled_from(["month", "year"])), max_size=5
    )
)
def test_the_revenue_of_a_year_is_twelve_times_that_of_a_month_up_to_rounding(amounts: list[Any]) -> None:
    found = subscription((LICENSED, 0), *((price(str(one), interval=interval), n) for one, n, interval in amounts))
    exact = sum((one * n * (12 if interval == "month" else 1) for one, n, interval in amounts), Decimal(0))
    assert revenue(found) == int((exact / 12).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize("status", ["incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled"])
def test_only_what_is_paid_for_is_revenue_and_only_what_goes_on_renews(status: str) -> None:
    found = state(subscription((LICENSED, 1), status=status))
    assert found.mrr == (2900 if status in ("active", "past_due") else 0)
    assert found.renews_on == ("2025-12-24" if status in ("active", "past_due", "trialing") else None)
    assert state(older(subscription((LICENSED, 1), status=status))).renews_on == found.renews_on


def test_what_will_be_canceled_does_not_renew() -> None:
    end = BEGAN + 30 * DAY
    for said in ({"cancel_at_period_end": True}, {"cancel_at": end}, {"cancel_at": end - DAY}):
        assert state(subscription((LICENSED, 1), **said)).renews_on is None
    assert state(subscription((LICENSED, 1), cancel_at=end + DAY)).renews_on == "2025-12-24"


def test_the_plan_is_that_of_the_item_that_costs_most() -> None:
    small, large = price(100, name="extra"), price(12_000, name="business", interval="year")
    assert state(subscription((small, 2), (large, 1))).plan == "business"
    assert state(subscription((small, 2), (large, 0))).plan == "extra"
    named = large | {"lookup_key": None, "nickname": "Business, yearly"}
    assert state(subscription((named, 1))).plan == "Business, yearly"
    assert state(subscription((named | {"nickname": ""}, 1))).plan == large["id"]


def test_an_invoice_of_an_older_version_says_the_same() -> None:
    account = Account()
    _, key = account.subscriber("Ada@Example.com", contact_id="user-1")
    account.billing.fail(key, BEGAN + 31 * DAY)
    (event,) = account.of("invoice.payment_failed")
    old = copy.deepcopy(event)
    details = old["data"]["object"].pop("parent")["subscription_details"]
    old["data"]["object"] |= {"subscription": key, "subscription_details": {"metadata": details["metadata"]}}
    found = read(event)
    assert found is not None and found == read(old)
    assert found.names.named_id == "user-1" and found.names.email == "Ada@example.com"
    assert found.told is not None and found.told.properties["subscription_id"] == key


def test_an_expanded_customer_is_read_too() -> None:
    account = Account()
    customer, _ = account.subscriber("ada@example.com")
    event = copy.deepcopy(account.of("customer.subscription.created")[0])
    event["data"]["object"]["customer"] = account.events[0]["data"]["object"] | {"metadata": {"contact_id": "user-7"}}
    found = read(event)
    assert found is not None
    assert (found.customer_id, found.names.email, found.names.named_id) == (customer, "ada@example.com", "user-7")


def test_a_trial_and_its_end_are_told_with_their_date() -> None:
    account = Account()
    _, key = account.subscriber("ada@example.com", trial_days=14)
    account.billing.warn_of_trial_end(key, BEGAN + 11 * DAY)
    account.billing.cancel(key, BEGAN + 12 * DAY)
    told = [found.told for event in account.events if (found := read(event)) and found.told]
    assert [one.name for one in told] == [
        "stripe.subscription_started",
        "stripe.invoice_paid",
        "stripe.trial_ending",
        "stripe.subscription_canceled",
    ]
    assert told[2].properties["trial_ends_on"] == "2025-12-08" == told[2].properties["renews_on"]
    assert told[3].properties["reason"] == "cancellation_requested" and "renews_on" not in told[3].properties


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "data", "email"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=60)
@given(st.data())
def test_whatever_form_a_part_has_the_event_is_read_or_left_but_no_failure(data: st.DataObject) -> None:
    account = Account()
    customer, key = account.subscriber("ada@example.com", contact_id="user-1")
    account.billing.fail(key, BEGAN + 31 * DAY)
    account.billing.refund(customer, BEGAN + 32 * DAY, 100)
    account.billing.check_out(customer, BEGAN, "user-1")
    event = copy.deepcopy(data.draw(st.sampled_from(account.events)))
    place: Any = event
    for _ in range(data.draw(st.integers(1, 5))):
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or not place[name]:
            break
        place, name = place[name], None
    if name is not None:
        place[name] = data.draw(_ANY)
    assert isinstance(read(event), StripeEvent | None)
