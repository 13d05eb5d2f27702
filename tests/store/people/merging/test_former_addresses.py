"""The addresses of merged contacts stay known as hashes: to an erasure, and to whoever is named by one elsewhere."""

from __future__ import annotations

from datetime import timedelta

from store.people import erasure, outside_people
from store.people.consents import suppressions
from store.people.merging import merge_records
from tests.store.people.merging.merge_calls import merged, unmerged
from tests.store.store_calls import NOW, StoreCalls

DAY = timedelta(days=1)


async def test_an_erasure_long_after_the_merge_suppresses_the_addresses_of_all_who_were_merged(
    store: StoreCalls,
) -> None:
    addresses = {"ann": "ann@acme.test", "bob": "bob@acme.test", "eve": "eve@acme.test"}
    for name, email in addresses.items():
        await store.contact(name, email=email)
    await merged(store, "bob", "eve")
    await merged(store, "ann", "bob")
    await store.contact("ann", email="new@acme.test")
    async with store.db.transaction() as tx:
        await merge_records.prune(tx, NOW + 31 * DAY)
        assert await outside_people.find(tx, [], "EVE@acme.test") == "ann"
        await erasure.erase(tx, "ann", now=NOW + 31 * DAY)
        for address in ("bob@acme.test", "eve@acme.test", "new@acme.test"):
            found = await suppressions.find(tx, "email", address)
            assert found is not None and found.reason == "erased", address
    assert await store.rows("SELECT 1 FROM former_address") == []


async def test_a_contact_who_is_given_back_has_its_address_alone_again(store: StoreCalls) -> None:
    await store.contact("ann", email="ann@acme.test")
    await store.contact("bob", email="bob@acme.test")
    await merged(store)
    assert (await unmerged(store)).outcome == "unmerged"
    async with store.db.transaction() as tx:
        assert await outside_people.find(tx, [], "bob@acme.test") == "bob"
        await erasure.erase(tx, "ann", now=NOW)
        assert await suppressions.find(tx, "email", "bob@acme.test") is None
    assert await store.rows("SELECT 1 FROM former_address") == []
