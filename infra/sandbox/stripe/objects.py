"""Stripe's objects as its API version 2026-10-28 writes them: https://docs.stripe.com/api."""

from __future__ import annotations

import secrets
import string
from typing import Any

API_VERSION = "2026-10-28.endive"
DAY = 86_400
_LETTERS = string.ascii_letters + string.digits
Object = dict[str, Any]


def new_id(prefix: str) -> str:
    """A new id in Stripe's form: `sub_1…`."""
    return f"{prefix}_1" + "".join(secrets.choice(_LETTERS) for _ in range(23))


def customer(key: str, now: int, email: str | None, metadata: dict[str, str]) -> Object:
    """A customer."""
    return {
        "id": key,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": email,
        "invoice_prefix": key[-8:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
        "livemode": False,
        "metadata": metadata,
        "name": "Ada Example",
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def price(
    amount: int | str,
    *,
    name: str | None = None,
    currency: str = "usd",
    interval: str = "month",
    interval_count: int = 1,
    metered: bool = False,
    tiered: bool = False,
) -> Object:
    """A recurring price. `amount` is in minor units; a text may have decimals. A tiered price has no amount."""
    exact = str(amount)
    return {
        "id": new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "tiered" if tiered else "per_unit",
        "created": 1_760_000_000,
        "currency": currency,
        "livemode": False,
        "lookup_key": name,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod"),
        "recurring": {
            "interval": interval,
            "interval_count": interval_count,
            "meter": new_id("mtr") if metered else None,
            "trial_period_days": None,
            "usage_type": "metered" if metered else "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": "graduated" if tiered else None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": None if tiered or not exact.isdigit() else int(exact),
        "unit_amount_decimal": None if tiered else exact,
    }


def item(subscription: str, of: Object, quantity: int, start: int, end: int) -> Object:
    """One item of a subscription, with its period."""
    found: Object = {
        "id": new_id("si"),
        "object": "subscription_item",
        "created": start,
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": {},
        "price": of,
        "subscription": subscription,
        "tax_rates": [],
    }
    return found if of["recurring"]["usage_type"] == "metered" else found | {"quantity": quantity}


def subscription(
    key: str,
    of_customer: str,
    now: int,
    prices: list[tuple[Object, int]],
    *,
    status: str,
    trial_end: int | None,
    metadata: dict[str, str],
) -> Object:
    """A subscription to these prices with their quantities."""
    end = trial_end or period_end(now, prices[0][0])
    items = [item(key, of, quantity, now, end) for of, quantity in prices]
    return {
        "id": key,
        "object": "subscription",
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_cycle_anchor": end if trial_end else now,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": prices[0][0]["currency"],
        "customer": of_customer,
        "days_until_due": None,
        "default_payment_method": None,
        "discounts": [],
        "ended_at": None,
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "total_count": len(items),
            "url": f"/v1/subscription_items?subscription={key}",
        },
        "latest_invoice": None,
        "livemode": False,
        "metadata": metadata,
        "pause_collection": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "start_date": now,
        "status": status,
        "test_clock": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": now if trial_end else None,
    }


def invoice(key: str, of: Object, payer: Object, now: int, amount: int, reason: str) -> Object:
    """An open invoice of a subscription, whose first payment has not been tried."""
    return {
        "id": key,
        "object": "invoice",
        "amount_due": amount,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": amount,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": of["currency"],
        "customer": payer["id"],
        "customer_email": payer["email"],
        "customer_name": payer["name"],
        "due_date": None,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{key}",
        "lines": {
            "object": "list",
            "data": [],
            "has_more": False,
            "total_count": 0,
            "url": f"/v1/invoices/{key}/lines",
        },
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": f"{payer['invoice_prefix']}-0001",
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": of["metadata"], "subscription": of["id"]},
            "type": "subscription_details",
        },
        "period_end": now,
        "period_start": now,
        "status": "open",
        "subtotal": amount,
        "total": amount,
    }


def charge(key: str, payer: Object, now: int, amount: int, currency: str) -> Object:
    """A payment by card."""
    return {
        "id": key,
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "balance_transaction": new_id("txn"),
        "billing_details": {"address": None, "email": payer["email"], "name": payer["name"], "phone": None},
        "captured": True,
        "created": now,
        "currency": currency,
        "customer": payer["id"],
        "disputed": False,
        "livemode": False,
        "metadata": {},
        "paid": True,
        "payment_intent": new_id("pi"),
        "receipt_email": None,
        "refunded": False,
        "status": "succeeded",
    }


def checkout_session(payer: Object, now: int, reference: str | None, of: Object | None) -> Object:
    """A completed checkout."""
    return {
        "id": f"cs_test_{new_id('a')}",
        "object": "checkout.session",
        "amount_total": None,
        "client_reference_id": reference,
        "created": now,
        "currency": of["currency"] if of else None,
        "customer": payer["id"],
        "customer_details": {"address": None, "email": payer["email"], "name": payer["name"], "phone": None},
        "customer_email": None,
        "livemode": False,
        "metadata": {},
        "mode": "subscription",
        "payment_status": "paid",
        "status": "complete",
        "subscription": of["id"] if of else None,
    }


def event(kind: str, of: Object, now: int, before: Object | None = None) -> Object:
    """A snapshot event about an object; `before` are the former values of what changed."""
    data: Object = {"object": of}
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": data if before is None else data | {"previous_attributes": before},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def period_end(start: int, of: Object) -> int:
    """The end of a price's period that begins at `start`, with months of 30 days."""
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[of["recurring"]["interval"]]
    return start + days * int(of["recurring"]["interval_count"]) * DAY
