"""The state of a subscription as Stripe's object says it: plan, monthly revenue, dates.

https://docs.stripe.com/api/subscriptions/object. Since the API version 2025-03-31 the period is in the items;
before, it was in the subscription. Both are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import floor
from typing import Any

from store.people.stripe.stripe_event import Subscription
from tracks.contacts.contact_fields import storable_text

_PAYING = ("active", "past_due")
"""The statuses in which a subscription counts as revenue: it is neither on trial, nor paused, nor over."""
_RENEWING = ("active", "past_due", "trialing")
_PER_MONTH = {"month": Fraction(1), "year": Fraction(1, 12), "week": Fraction(52, 12), "day": Fraction(365, 12)}
"""How many intervals a month has."""
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""


def state(subscription: Mapping[str, Any]) -> Subscription:
    """The state of a subscription object."""
    status = text(subscription.get("status")) or ""
    ends = _period_end(subscription) if status in _RENEWING else None
    leaves = subscription.get("cancel_at")
    over = bool(subscription.get("cancel_at_period_end")) or (
        isinstance(leaves, int) and ends is not None and leaves <= ends
    )
    monthly = revenue(subscription)
    return Subscription(
        id=text(subscription.get("id")) or "",
        status=status,
        started=whole(subscription.get("start_date")) or whole(subscription.get("created")) or 0,
        plan=_plan(subscription),
        mrr=monthly if status in _PAYING else 0,
        currency=text(subscription.get("currency")),
        trial_ends_on=date(subscription.get("trial_end")),
        renews_on=None if over else date(ends),
    )


def revenue(subscription: Mapping[str, Any]) -> int:
    """What the subscription's items cost a month, in minor units of the currency, rounded once (half up).

    It is the sum of amount and quantity, times the intervals in a month: a year counts as 12 months, a month as 52/12
    weeks or 365/12 days. Left out are metered and tiered prices, which have no amount before they are used. Discounts
    and taxes are not considered.
    """
    return floor(sum((_monthly(item) for item in items(subscription)), Fraction(1, 2)))


def items(subscription: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The subscription's items."""
    listed = part(subscription, "items").get("data")
    return [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []


def part(value: Any, *names: str) -> Mapping[str, Any]:
    """The object inside an object by these names; empty if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text(value: Any, longest: int = 255) -> str | None:
    """A text that is not empty, without characters that cannot be stored; None for anything else."""
    return storable_text(value)[:longest] or None if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    """A whole number of at most 63 bits; None for anything else."""
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    return value if fits else None


def date(seconds: Any) -> str | None:
    """The date in UTC of a time in seconds since 1970."""
    moment = time(seconds)
    return moment.date().isoformat() if moment else None


def time(seconds: Any) -> datetime | None:
    """A time in seconds since 1970; None for anything else."""
    found = whole(seconds)
    return datetime.fromtimestamp(found, UTC) if found is not None and 0 <= found <= _LAST_SECOND else None


def _price(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The item's price; `plan` is its older form, with the interval beside the amount."""
    return part(item, "price") or part(item, "plan")


def _monthly(item: Mapping[str, Any]) -> Fraction:
    price = _price(item)
    recurring = part(price, "recurring") or price
    per_month = _PER_MONTH.get(str(recurring.get("interval")))
    amount = _amount(price)
    if per_month is None or amount is None or recurring.get("usage_type") == "metered":
        return Fraction(0)
    count = whole(recurring.get("interval_count")) or 1
    return amount * _quantity(item, price) * per_month / count


def _quantity(item: Mapping[str, Any], price: Mapping[str, Any]) -> int:
    """How often the amount is charged: the quantity, or the packages that it makes up."""
    quantity = whole(item.get("quantity"))
    quantity = 1 if quantity is None else quantity
    packages = part(price, "transform_quantity")
    size = whole(packages.get("divide_by")) or 0
    if size < 1:
        return quantity
    return -(-quantity // size) if packages.get("round") == "up" else quantity // size


def _amount(price: Mapping[str, Any]) -> Fraction | None:
    """The amount of one unit in minor units, also with decimals; None for a tiered price."""
    for name in ("unit_amount_decimal", "unit_amount", "amount_decimal", "amount"):
        value = price.get(name)
        if value is not None and not isinstance(value, bool):
            try:
                found = Decimal(str(value))
            except InvalidOperation:
                continue
            return Fraction(found) if found.is_finite() else None
    return None


def _plan(subscription: Mapping[str, Any]) -> str | None:
    """The name of the plan: of the item that costs most a month, the price's lookup key, else nickname, else id."""
    listed = items(subscription)
    if not listed:
        return None
    price = _price(max(listed, key=_monthly))  # of equal ones the first
    return next(_names(price), None)


def _names(price: Mapping[str, Any]) -> Iterator[str]:
    for name in ("lookup_key", "nickname", "id"):
        if found := text(price.get(name)):
            yield found


def _period_end(subscription: Mapping[str, Any]) -> int | None:
    """When the current period ends, in seconds since 1970; of several periods the first that ends."""
    ends = [whole(holder.get("current_period_end")) for holder in (*items(subscription), subscription)]
    return min((end for end in ends if end is not None), default=None)
