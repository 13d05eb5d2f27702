"""Contacts are written one by one or many at once, and the runs that wait on an attribute are told."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people import contacts
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls

QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


async def upsert(store: StoreCalls, changes: contacts.Changes, *, replace: bool = False) -> contacts.Upserted:
    async with store.db.transaction() as tx:
        return await contacts.upsert(tx, "ann", changes, replace=replace, now=NOW)


async def test_what_is_not_named_stays_and_none_removes(store: StoreCalls) -> None:
    first = await upsert(store, {"email": "a@acme.test", "locale": "de", "attributes": {"role": "dev", "n": 1}})
    assert (first.created, first.changed) == (True, frozenset({"role", "n"}))
    second = await upsert(store, {"locale": None, "attributes": {"n": None, "m": [1]}})
    assert (second.created, second.changed) == (False, frozenset({"n", "m"}))
    contact = second.contact
    assert (contact.email, contact.locale, contact.attributes) == ("a@acme.test", None, {"role": "dev", "m": [1]})


async def test_replacing_removes_what_is_not_named(store: StoreCalls) -> None:
    await upsert(store, {"email": "a@acme.test", "attributes": {"role": "dev"}})
    contact = (await upsert(store, {"phone": "+15005550006"}, replace=True)).contact
    assert (contact.email, contact.phone, contact.attributes) == (None, "+15005550006", {})


async def test_racing_changes_of_a_new_contact_are_all_kept(store: StoreCalls) -> None:
    results = await asyncio.gather(*(upsert(store, {"attributes": {f"a{n}": n}}) for n in range(12)))
    assert sum(r.created for r in results) == 1
    async with store.db.transaction() as tx:
        contact = await contacts.get(tx, "ann")
    assert contact is not None
    assert contact.attributes == {f"a{n}": n for n in range(12)}


async def test_only_runs_that_wait_on_a_changed_attribute_are_told(store: StoreCalls) -> None:
    waiting = await store.live(TRIAL)
    await store.live(WELCOME)
    await upsert(store, {"attributes": {"renewal_date": "2026-06-01", "role": "dev"}})
    await upsert(store, {"attributes": {"renewal_date": "2026-06-01", "role": "lead"}})
    [(_, payload)] = await store.waiting("attributes")
    assert payload["names"] == ["renewal_date"]
    [row] = await store.rows("SELECT enrollment_id FROM outbox WHERE kind = 'attributes'")
    assert row.enrollment_id == waiting.id


values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([1.0, "", "x"]), st.just([1]))


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), values), st.booleans()), max_size=6
    ),
    replace=st.booleans(),
)
async def test_batch_does_what_its_items_do_one_by_one(
    store: StoreCalls, changes: list[tuple[str, dict[str, Any], bool]], replace: bool
) -> None:
    ends = []
    for together in (True, False):
        prefix = new_id()
        items: list[tuple[str, contacts.Changes]] = [
            (prefix + who, {"attributes": attributes, **({"locale": "de"} if locale else {})})
            for who, attributes, locale in changes
        ]
        results: list[contacts.Upserted] = []
        for group in [items] if together else [[item] for item in items]:
            async with store.db.transaction() as tx:
                results += await contacts.upsert_many(tx, group, replace=replace, now=NOW)
        rows = await store.rows(
            "SELECT right(id, 1), locale, attributes::text FROM contact WHERE id LIKE :p ORDER BY 1", p=f"{prefix}%"
        )
        ends.append(([tuple(row) for row in rows], [(r.created, r.changed, r.contact.attributes) for r in results]))
    assert ends[0] == ends[1]


async def test_contacts_are_found_by_phone(store: StoreCalls) -> None:
    await store.contact("ann", phone="+15005550006")
    await store.contact("bob", phone="+15005550006")
    await store.contact("cyd", phone="+15005550007")
    async with store.db.transaction() as tx:
        assert {c.id for c in await contacts.by_phone(tx, "+15005550006")} == {"ann", "bob"}
