"""Whoever another system names by a contact's id, or by an address, is found also after that contact was merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from store.people.hubspot import objects
from store.people.stripe import customers
from store.schema.tables.all_tables import metadata
from tests.store.people.merging.merge_calls import merged
from tests.store.store_calls import NOW, StoreCalls

NAMING = {"named_id", "reference_id"}
"""The columns in which another system says a contact's id."""
SETTLED: dict[str, Callable[..., Any]] = {
    "hubspot_contact": objects.matched_by_now,
    "stripe_customer": customers.matched_by_now,
}
"""Finds those of a table whose contact exists by now."""


def naming() -> dict[str, set[str]]:
    """The tables in which another system names contacts, and the columns."""
    found = {name: NAMING & set(table.c.keys()) for name, table in metadata.tables.items()}
    return {name: columns for name, columns in found.items() if columns}


async def test_somebody_who_waits_under_an_id_that_was_merged_is_found_in_every_table_that_names_contacts(
    store: StoreCalls,
) -> None:
    assert naming().keys() == SETTLED.keys(), "say here how the job finds those of the new table"
    await store.contact("ann")
    await store.contact("bob", email="bob@acme.test")
    await merged(store, "ann", "bob")
    for table, columns in naming().items():
        (key,) = (column.name for column in metadata.tables[table].primary_key)
        for column in columns:
            values = {"key": f"{table}-{column}", "name": "bob", "now": NOW}
            insert = f"INSERT INTO {table} ({key}, {column}, heard_at) VALUES (:key, :name, :now) RETURNING 1"
            await store.rows(insert, **values)
        async with store.db.transaction() as tx:
            assert list(await SETTLED[table](tx, 10)) == sorted(f"{table}-{column}" for column in columns)
