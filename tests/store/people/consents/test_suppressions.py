"""Suppressed addresses: the strictest reason stays, and each reason ends only as permitted."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import get_args

import pytest

from store.people.consents import suppressions
from store.schema.addresses import address_hash
from store.schema.suppression_reasons import HARSHEST_FIRST, Reason
from tests.store.store_calls import NOW, StoreCalls


async def reason(store: StoreCalls, address: str = "ann@acme.test") -> str | None:
    async with store.db.transaction() as tx:
        found = await suppressions.find(tx, "email", address)
    return found.reason if found else None


def test_every_reason_has_a_rank() -> None:
    assert set(HARSHEST_FIRST) == set(get_args(Reason))


async def test_the_harshest_reason_stays_in_whatever_order_they_come(store: StoreCalls) -> None:
    for number, order in enumerate(permutations(HARSHEST_FIRST, 3)):
        address = f"{number}@acme.test"
        async with store.db.transaction() as tx:
            raised = [await suppressions.add(tx, "email", address, it, NOW) for it in order]
        harshest = min(order, key=HARSHEST_FIRST.index)
        assert await reason(store, address.upper()) == harshest
        assert raised == [order[n] == min(order[: n + 1], key=HARSHEST_FIRST.index) for n in range(3)]


async def test_of_the_same_reason_the_latest_time_stays(store: StoreCalls) -> None:
    for hours in (1, 3, 2):
        async with store.db.transaction() as tx:
            new = await suppressions.add(tx, "email", "ann@acme.test", "unsubscribed", NOW + timedelta(hours=hours))
            found = await suppressions.find(tx, "email", "ann@acme.test")
        assert new == (hours == 1)
    assert found is not None and found.at == NOW + timedelta(hours=3)


async def test_each_reason_is_ended_only_by_what_may_end_it(store: StoreCalls) -> None:
    ann = address_hash("email", "ann@acme.test")
    for held in HARSHEST_FIRST:
        async with store.db.transaction() as tx:
            await suppressions.add(tx, "email", "ann@acme.test", held, NOW)
            by_start = await suppressions.remove(tx, "email", "ann@acme.test", only="stop")
            by_older_yes = await suppressions.end_by_consent(tx, "email", ann, NOW)
            by_newer_yes = await suppressions.end_by_consent(tx, "email", ann, NOW + timedelta(seconds=1))
            by_operator = await suppressions.remove(tx, "email", "ann@acme.test")
        assert by_start == (held == "stop")
        assert not by_older_yes
        assert by_newer_yes == (held in ("erased", "unsubscribed"))
        assert by_operator == (not by_start and not by_newer_yes)


async def test_many_at_once_are_counted_and_listed_by_hash(store: StoreCalls) -> None:
    many = [("email", f"{n}@acme.test") for n in range(5)] + [("sms", "+15005550009"), ("email", "0@ACME.test")]
    async with store.db.transaction() as tx:
        await suppressions.add(tx, "email", "1@acme.test", "bounced")
        assert await suppressions.add_many(tx, many, "manual") == 5  # type: ignore[arg-type]
        assert await suppressions.add_many(tx, [], "manual") == 0
        first = await suppressions.page(tx, limit=4)
        last = first[-1]
        rest = await suppressions.page(tx, after=(last.channel, last.address_hash), limit=4)
        bounced = await suppressions.page(tx, channel="email", reason="bounced")
    everything = [*first, *rest]
    assert len(first) == 4 and len(everything) == len({it.address_hash for it in everything}) == 6
    assert [it.reason for it in bounced] == ["bounced"]


async def test_a_reason_that_nobody_knows_is_refused(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        with pytest.raises(ValueError):
            await suppressions.add(tx, "email", "ann@acme.test", "tired")
