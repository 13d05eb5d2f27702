"""Whom a message leaves out: by a condition, by a recent event, or because its address has a copy."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.events.events import Event
from tests.store.sending.claims import MANY, claim, several
from tests.store.store_calls import NOW, StoreCalls
from tracks.model.sending import Lately


class TestExclusions:
    async def test_a_condition_keeps_contacts_out(self, store: StoreCalls) -> None:
        run = await store.live()
        await store.contact(attributes={"plan": "paid"})
        assert (await claim(store, run, unless='contact.attributes.plan == "paid"')).reason == "excluded: condition"

    async def test_a_condition_that_cannot_be_computed_keeps_nobody_out(self, store: StoreCalls) -> None:
        run = await store.live()
        assert (await claim(store, run, unless="contact.attributes.plan.name > 1")).decision == "granted"

    async def test_a_condition_that_met_a_text_for_a_number_keeps_nobody_out_and_is_counted(
        self, store: StoreCalls
    ) -> None:
        run = await store.live()
        await store.contact(attributes={"score": "100"})
        assert (await claim(store, run, unless="contact.attributes.score > 50")).decision == "granted"
        async with store.db.transaction() as tx:
            assert await drop_counts.totals(tx) == [Drop("condition: type", "message", run.track)]

    async def test_purchases_that_could_not_be_looked_at_are_counted_once_a_message(self, store: StoreCalls) -> None:
        run = await store.live()
        for number in range(3):
            await store.accept(Event(f"e{number}", "ann", "bought", {"amount": "20.00"}, NOW - timedelta(days=1)))
        lately = Lately(event="bought", within=timedelta(days=14), where="event.properties.amount > 10")
        assert (await claim(store, run, unless=lately)).decision == "granted"
        async with store.db.transaction() as tx:
            assert await drop_counts.totals(tx) == [Drop("condition: type", "message", run.track)]

    @pytest.mark.parametrize(
        ("ago", "amount", "pace", "kept_out"),
        [
            (timedelta(days=13), 20, 1, True),
            (timedelta(days=15), 20, 1, False),
            (timedelta(days=13), 5, 1, False),
            (timedelta(seconds=13), 20, 86_400, True),
            (timedelta(seconds=15), 20, 86_400, False),
        ],
    )
    async def test_recent_purchasers_are_left_out(
        self, store: StoreCalls, ago: timedelta, amount: int, pace: float, kept_out: bool
    ) -> None:
        run = await store.live(pace=pace)
        await store.accept(Event("e1", "ann", "bought", {"amount": amount}, NOW - ago))
        lately = Lately(event="bought", within=timedelta(days=14), where="event.properties.amount > 10")
        judged = await claim(store, run, unless=lately)
        assert judged.reason == ("excluded: bought within 14d" if kept_out else "")

    async def test_two_contacts_with_one_address_get_one_copy(self, store: StoreCalls) -> None:
        await store.publish(MANY)
        await store.contact("ann", email="Both@acme.test")
        await store.contact("bob", email="both@ACME.test")
        [first], [second] = await several(store, 1, "ann"), await several(store, 1, "bob")
        claims = await asyncio.gather(claim(store, first), claim(store, second))
        assert sorted((c.decision, c.reason) for c in claims) == [("granted", ""), ("settled", "duplicate address")]
        later = await store.enrolled("many", "bob", key="later", properties={"n": "later"})
        assert (await claim(store, later, NOW + timedelta(days=31))).decision == "granted"
