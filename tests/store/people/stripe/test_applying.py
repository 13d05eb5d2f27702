"""Stripe's customers wait for their contacts, are settled when these appear, and are given up after a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from store.people import contacts, erasure
from store.people.consents import suppressions
from store.people.stripe import applying, customers, waiting
from store.people.stripe.applying import Applied
from store.people.stripe.stripe_event import (
    CHANGED,
    INVOICE_PAID,
    PAYMENT_FAILED,
    STARTED,
    Moment,
    Names,
    StripeEvent,
    Subscription,
    Told,
)
from store.runs import drop_counts
from tests.store.people.merging.merge_calls import merged, unmerged
from tests.store.store_calls import NOW, StoreCalls

MINUTE = timedelta(minutes=1)


def state(status: str, **more: Any) -> Subscription:
    return Subscription("sub_1", status, 1, plan="pro", mrr=2900, currency="usd", **more)


def event(number: int, name: str | None = None, *, of: Subscription | None = None, **who: Any) -> StripeEvent:
    """The event of that minute; `who` are names, and the customer."""
    customer = who.pop("customer", "cus_1")
    properties = {"subscription_id": of.id} if of else {"invoice_id": "in_1"}
    told = Told(name, properties) if name else None
    return StripeEvent(Moment(NOW + number * MINUTE, 0, f"evt_{number}"), customer, Names(**who), of, told)


async def apply(store: StoreCalls, *given: StripeEvent, now: Any = NOW) -> list[Applied]:
    results = []
    for one in given:
        async with store.db.transaction() as tx:
            results.append(await applying.apply(tx, one, now=now))
    return results


async def settle(store: StoreCalls) -> int:
    """As the job of the workers."""
    async with store.db.transaction() as tx:
        found = await customers.matched_by_now(tx, 10)
    told = 0
    for customer in found:
        async with store.db.transaction() as tx:
            told += await applying.settle(tx, customer, now=NOW)
    return told


async def attributes(store: StoreCalls, contact_id: str = "ann") -> dict[str, Any]:
    async with store.db.transaction() as tx:
        found = await contacts.get(tx, contact_id)
    return dict(found.attributes or {}) if found else {}


async def names(store: StoreCalls) -> list[Any]:
    return [name for (name,) in await store.rows("SELECT name FROM event ORDER BY occurred_at, name")]


@pytest.mark.parametrize(
    "who", [{"named_id": "ann"}, {"reference_id": "ann"}, {"email": "Ann@acme.test"}], ids=lambda who: next(iter(who))
)
async def test_what_waits_is_told_when_the_contact_appears(store: StoreCalls, who: dict[str, Any]) -> None:
    told = [event(1, STARTED, of=state("incomplete")), event(2, INVOICE_PAID), event(3, CHANGED, of=state("active"))]
    await apply(store, *told, event(4, **who))
    assert await settle(store) == 0 and await names(store) == []
    await store.contact("ann", email="ann@acme.test")
    assert await settle(store) == 3
    assert await names(store) == [STARTED, INVOICE_PAID, CHANGED]
    assert await attributes(store) == {
        "plan": "pro",
        "subscription_status": "active",
        "mrr": 2900,
        "mrr_currency": "usd",
    }
    assert await settle(store) == 0
    (again,) = await apply(store, told[1])
    assert again.accepted[0].duplicate


async def test_every_order_of_states_and_names_ends_the_same(store: StoreCalls) -> None:
    for number, order in enumerate(permutations(range(4))):
        contact_id, customer = f"c{number}", f"cus_{number}"
        await store.contact(contact_id, email=f"{contact_id}@acme.test")
        sub: dict[str, Any] = {"customer": customer}
        states = [
            Subscription(f"sub_{number}", status, 1, "pro", 1, "usd") for status in ("incomplete", "active", "past_due")
        ]
        said = [event(10 * number + at, CHANGED, of=one, **sub) for at, one in enumerate(states)]
        said.append(event(10 * number + 5, email=f"{contact_id}@acme.test", **sub))
        await apply(store, *(said[at] for at in order))
        assert (await attributes(store, contact_id))["subscription_status"] == "past_due", order


async def test_within_a_second_the_kind_of_event_and_the_status_decide(store: StoreCalls) -> None:
    await store.contact("ann")
    for order in permutations([(0, "incomplete"), (12, "active"), (23, "canceled")]):
        for rank, status in order:
            of = Subscription(f"sub_{order}", status, 1)
            moment = Moment(NOW, rank, f"evt_{order}_{rank}")
            await apply(store, StripeEvent(moment, f"cus_{order}", Names(named_id="ann"), of))
        rows = await store.rows("SELECT state ->> 'status' FROM stripe_subscription")
        assert {status for (status,) in rows} == {"canceled"}


async def test_a_customer_without_a_subscription_leaves_attributes_of_yours_alone(store: StoreCalls) -> None:
    await apply(store, event(1, INVOICE_PAID, email="ann@acme.test"))
    await store.contact("ann", email="ann@acme.test", attributes={"plan": "ours"})
    assert await settle(store) == 1
    assert await attributes(store) == {"plan": "ours"}


async def test_attributes_follow_a_customer_to_another_contact(store: StoreCalls) -> None:
    await store.contact("ann", email="ann@acme.test", attributes={"city": "Bern"})
    await store.contact("bob", email="bob@acme.test")
    await apply(store, event(1, CHANGED, of=state("active"), email="ann@acme.test"), event(2, named_id="bob"))
    assert await attributes(store) == {"city": "Bern"}
    assert (await attributes(store, "bob"))["plan"] == "pro"
    await apply(store, event(3, email="ann@acme.test"))  # an address does not take the customer away again
    assert await store.rows("SELECT 1 FROM stripe_customer WHERE email IS NOT NULL") == []
    assert (await attributes(store, "bob"))["plan"] == "pro"


async def test_a_failure_that_waited_is_not_told_if_the_invoice_was_paid_meanwhile(store: StoreCalls) -> None:
    await apply(store, event(2, INVOICE_PAID, email="ann@acme.test"), event(1, PAYMENT_FAILED))
    await store.contact("ann", email="ann@acme.test")
    assert await settle(store) == 1 and await names(store) == [INVOICE_PAID]


async def test_what_waits_too_long_is_given_up_and_counted(store: StoreCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    await apply(store, event(1, INVOICE_PAID, email="old@acme.test"), event(2, CHANGED, of=state("active")))
    young = event(3, INVOICE_PAID, customer="cus_2", email="young@acme.test")
    later = NOW + waiting.KEPT + MINUTE
    await apply(store, young, now=later)

    async def give_up() -> int:
        async with store.db.transaction() as tx:
            return await applying.give_up(tx, later)

    assert await give_up() == 2 and await give_up() == 0
    assert await store.rows("SELECT customer_id FROM stripe_customer") == [("cus_2",)]
    await apply(store, event(4, INVOICE_PAID, customer="cus_2"), now=later + MINUTE)
    monkeypatch.setattr(waiting, "MOST", 1)
    assert await give_up() == 1
    assert await store.rows("SELECT event_id FROM stripe_waiting") == [("evt_4",)]
    async with store.db.transaction() as tx:
        assert [(one.reason, one.kind) for one in await drop_counts.totals(tx)] == [("unmatched", "stripe")]


async def test_an_erasure_takes_all_that_stripe_said_along(store: StoreCalls) -> None:
    named: list[dict[str, Any]] = [{"named_id": "ann"}, {"email": "ann@acme.test"}, {"email": "bob@acme.test"}]
    for number, who in enumerate(named):
        await apply(store, event(2 + number, INVOICE_PAID, customer=f"cus_{2 + number}", **who))
    await store.contact("ann", email="ann@acme.test")
    await apply(store, event(1, CHANGED, of=state("active"), email="ann@acme.test"))
    assert len(await store.rows("SELECT 1 FROM stripe_customer")) == 4
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
    assert await store.rows("SELECT customer_id FROM stripe_customer") == [("cus_4",)]
    assert await store.rows("SELECT 1 FROM stripe_subscription") == []
    late = [event(9, INVOICE_PAID, named_id="ann"), event(10, INVOICE_PAID, email="ANN@acme.test")]
    assert [one.outcome for one in await apply(store, *late)] == ["erased", "erased"]
    assert await store.rows("SELECT customer_id FROM stripe_customer") == [("cus_4",)]
    async with store.db.transaction() as tx:
        await suppressions.remove(tx, "email", "ann@acme.test")
    await store.contact("ann")  # made anew
    assert [one.outcome for one in await apply(store, *late)] == ["told", "told"]


async def test_an_event_that_races_an_erasure_leaves_nobody_behind(store: StoreCalls) -> None:
    for number in range(10):
        contact_id = f"c{number}"
        await store.contact(contact_id)
        said = event(
            number,
            CHANGED,
            of=Subscription(f"sub_{number}", "active", 1),
            customer=f"cus_{number}",
            named_id=contact_id,
        )

        async def erase(contact_id: str = contact_id) -> None:
            async with store.db.transaction() as tx:
                await erasure.erase(tx, contact_id)

        await asyncio.gather(apply(store, said), erase())
    assert await store.rows("SELECT 1 FROM contact UNION ALL SELECT 1 FROM stripe_customer") == []


async def test_what_names_a_merged_contact_is_the_survivors(store: StoreCalls) -> None:
    """A customer of the merged contact goes along, and one who is named by the merged id finds the survivor."""
    await store.contact("ann", attributes={})
    await store.contact("bob", attributes={})
    await apply(store, event(1, STARTED, of=state("active"), named_id="bob"))
    await merged(store)
    (paid,) = await apply(store, event(2, INVOICE_PAID, named_id="bob"))
    other = await apply(store, event(3, INVOICE_PAID, named_id="bob", customer="cus_2"))
    assert (paid.outcome, other[0].outcome) == ("told", "told")
    rows = await store.rows("SELECT customer_id, contact_id FROM stripe_customer ORDER BY customer_id")
    assert [tuple(row) for row in rows] == [("cus_1", "ann"), ("cus_2", "ann")]
    assert {row.contact_id for row in await store.rows("SELECT contact_id FROM event")} == {"ann"}
    (ann,) = await store.rows("SELECT attributes ->> 'plan' AS plan FROM contact")
    assert ann.plan == "pro"
    await unmerged(store)
    rows = await store.rows("SELECT customer_id, contact_id FROM stripe_customer ORDER BY customer_id")
    assert [tuple(row) for row in rows] == [("cus_1", "bob"), ("cus_2", "ann")]
