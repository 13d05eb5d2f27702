"""Contacts that people merge in HubSpot become one contact here: at once, or when both are known, and only once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from store.people.hubspot import applying, objects
from store.people.hubspot.hubspot_change import Change, Merge, Moment, Properties
from store.people.merging import hubspot_merges as merges
from store.runs import drop_counts
from tests.store.people.merging.merge_calls import merged, unmerged
from tests.store.store_calls import NOW, StoreCalls

PROPERTIES = Properties({"lifecyclestage": "crm_stage"}, "our_id")


async def known(store: StoreCalls, object_id: str, contact_id: str, stage: str | None = None) -> None:
    """HubSpot says whose contact it is, and its stage; the contact here may not exist yet."""
    said = {"our_id": contact_id, **({"lifecyclestage": stage} if stage else {})}
    changes = [
        Change(Moment(NOW, f"{object_id}:{name}"), object_id, name, value) for name, value in sorted(said.items())
    ]
    async with store.db.transaction() as tx:
        await applying.apply(tx, object_id, changes, PROPERTIES, now=NOW)


async def merge(store: StoreCalls, into: str, *object_ids: str) -> Counter[str]:
    """As the webhook does."""
    counts = Counter[str]()
    async with store.db.transaction() as tx:
        await merges.note(tx, Merge(into, object_ids), PROPERTIES, now=NOW)
    for one in object_ids:
        async with store.db.transaction() as tx:
            counts += (await merges.carry_out(tx, one, PROPERTIES, now=NOW)).counts
    return counts


async def job(store: StoreCalls, now: datetime = NOW) -> None:
    """As the workers do."""
    async with store.db.transaction() as tx:
        found = await objects.matched_by_now(tx, 10)
    for one in found:
        async with store.db.transaction() as tx:
            await applying.settle(tx, one, PROPERTIES, now=NOW)
    async with store.db.transaction() as tx:
        waiting = await merges.due(tx, now, 10)
    for one in waiting:
        async with store.db.transaction() as tx:
            await merges.carry_out(tx, one, PROPERTIES, now=now)


async def one_person(store: StoreCalls) -> dict[str, str]:
    return {row.id: row.contact_id for row in await store.rows("SELECT id, contact_id FROM merged_id")}


async def test_two_contacts_are_merged_on_the_record_as_from_hubspot_and_what_is_left_survives(
    store: StoreCalls,
) -> None:
    for name, object_id in (("ann", "101"), ("bob", "102")):
        await store.contact(name)
        await known(store, object_id, name, "lead")
    await store.happen("page.viewed", "bob")
    assert await merge(store, "101", "102") == {"merged": 1}
    assert await one_person(store) == {"bob": "ann"}
    assert [tuple(row) for row in await store.rows("SELECT merged_by FROM contact_merge")] == [("hubspot",)]
    assert {row.contact_id for row in await store.rows("SELECT contact_id FROM hubspot_contact")} == {"ann"}


async def test_a_merge_that_was_undone_here_is_not_made_again(store: StoreCalls) -> None:
    for name, object_id in (("ann", "101"), ("bob", "102")):
        await store.contact(name)
        await known(store, object_id, name)
    await merge(store, "101", "102")
    assert (await unmerged(store)).outcome == "unmerged"
    assert await merge(store, "101", "102") == {}
    await job(store)
    assert await one_person(store) == {}


@pytest.mark.parametrize("order", list(permutations(("contact ann", "contact bob", "merge"))))
async def test_a_merge_waits_until_both_are_known_in_any_order(store: StoreCalls, order: tuple[str, ...]) -> None:
    await known(store, "101", "ann")
    await known(store, "102", "bob", "lead")
    for what in order:
        if what == "merge":
            await merge(store, "101", "102")
        else:
            await store.contact(what.removeprefix("contact "))
            await job(store)
    await job(store)
    assert await one_person(store) == {"bob": "ann"}
    found = await store.rows("SELECT id, attributes FROM contact")
    assert [(row.id, row.attributes) for row in found] == [("ann", {"crm_stage": "lead"})]
    assert await store.rows("SELECT 1 FROM hubspot_merged WHERE done_at IS NULL") == []


async def test_after_a_day_what_is_left_is_the_merged_contact_if_it_became_none_of_its_own(store: StoreCalls) -> None:
    await store.contact("bob")
    await known(store, "101", "ann", "customer")
    await known(store, "102", "bob", "lead")
    assert await merge(store, "101", "102") == {merges.WAITING: 1}
    await job(store, NOW + timedelta(days=1))
    found = await store.rows("SELECT object_id, contact_id FROM hubspot_contact ORDER BY 1")
    assert [tuple(row) for row in found] == [("101", "bob"), ("102", "bob")]


async def test_a_merge_that_makes_a_new_contact_in_hubspot_takes_the_primary_one_as_the_survivor(
    store: StoreCalls,
) -> None:
    for name, object_id in (("bob", "102"), ("ann", "101")):
        await store.contact(name)
        await known(store, object_id, name)
    assert await merge(store, "200", "101", "102", "103") == {"merged": 1, merges.WAITING: 1}
    assert await one_person(store) == {"bob": "ann"}
    left = await store.rows("SELECT contact_id FROM hubspot_contact WHERE object_id = '200'")
    assert [row.contact_id for row in left] == ["ann"]


async def test_what_was_merged_into_one_that_is_merged_later_follows_it(store: StoreCalls) -> None:
    await store.contact("ann")
    await known(store, "300", "ann")
    await known(store, "102", "bob")
    await merge(store, "101", "102")
    await merge(store, "300", "101")
    await store.contact("bob")
    await job(store)
    assert await one_person(store) == {"bob": "ann"}


async def test_merges_of_hubspot_and_of_the_api_at_once_make_one_contact(store: StoreCalls) -> None:
    names = ("ann", "bob", "eve")
    for number, name in enumerate(names):
        await store.contact(name)
        await known(store, f"10{number}", name, "lead")
    await asyncio.gather(
        merge(store, "100", "101"),
        merge(store, "100", "102"),
        merged(store, "eve", "bob"),
        known(store, "101", "bob", "customer"),
        known(store, "102", "eve", "customer"),
    )
    await job(store)
    assert len(await store.rows("SELECT id FROM contact")) == 1
    assert len(await one_person(store)) == 2


async def test_a_merge_of_contacts_who_do_not_become_known_is_given_up_and_counted(store: StoreCalls) -> None:
    assert await merge(store, "101", "102") == {merges.WAITING: 1}
    async with store.db.transaction() as tx:
        await merges.give_up(tx, NOW + timedelta(days=31))
        assert drop_counts.Drop("unmatched", "hubspot", None, 1) in await drop_counts.totals(tx)
    assert await store.rows("SELECT 1 FROM hubspot_merged") == []
