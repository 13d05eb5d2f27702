"""The workers tell Stripe's waiting events soon after the contact appears."""

from __future__ import annotations

from datetime import timedelta

import pytest

from activities.sending.breakers_and_quota import STRIPE, STRIPE_EVERY, Watch
from store.engine.background import periodic_jobs
from store.engine.sql import utc_now
from store.people.stripe import applying
from store.people.stripe.stripe_event import INVOICE_PAID, Moment, Names, StripeEvent, Told
from tests.activities.activity_runner import ActivityRunner
from tests.conftest import DevServer


async def hear(runner: ActivityRunner, customer: str, contact_id: str) -> None:
    """An event of Stripe about a customer with this contact's id."""
    moment = Moment(utc_now(), 0, f"evt_{customer}")
    told = Told(INVOICE_PAID, {"invoice_id": "in_1"})
    async with runner.db.transaction() as tx:
        await applying.apply(tx, StripeEvent(moment, customer, Names(named_id=contact_id), None, told))


async def test_waiting_events_are_told_when_their_contact_is_there(
    runner: ActivityRunner, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(runner.db, runner.activities.providers.email, await dev_server.connect(), runner.providers.settings())
    await hear(runner, "cus_1", "late-1")
    await hear(runner, "cus_2", "late-2")

    async def look() -> int:
        async with runner.db.transaction() as tx:
            await periodic_jobs.again(tx, STRIPE, utc_now() - timedelta(seconds=1))
        await watch.settle_stripe_customers()
        return len(await runner.store.rows("SELECT 1 FROM event WHERE name = :name", name=INVOICE_PAID))

    assert await look() == 0
    ((at,),) = await runner.store.rows("SELECT next_at FROM chore WHERE name = 'stripe'")
    assert abs(at - utc_now() - STRIPE_EVERY) < timedelta(seconds=10)
    await runner.store.contact("late-1")
    await runner.store.contact("late-2")
    settle = applying.settle

    async def failing(tx: object, customer_id: str, **more: float) -> int:
        if customer_id == "cus_1":
            raise ValueError("a customer that cannot be settled")
        return await settle(tx, customer_id, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(applying, "settle", failing)
    assert await look() == 1  # the other one
    monkeypatch.undo()
    assert await look() == 2
    assert await look() == 2
