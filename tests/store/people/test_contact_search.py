"""Contacts are found by their data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.people import contact_search
from store.people.contact_search import Wanted
from tests.store.store_calls import StoreCalls

IDS = ("a", "a-1", "a-10", "a-2", "B", "b", "crm_1", "crm_2", "crm%", "é1", "é2", "\U0010fffe")


async def found(store: StoreCalls, wanted: Wanted, limit: int = 100) -> list[str]:
    """The ids of all pages."""
    ids: list[str] = []
    while True:
        async with store.db.transaction() as tx:
            page = await contact_search.page(tx, wanted, after=ids[-1] if ids else None, limit=limit)
        ids += [one.id for one in page]
        if len(page) < limit:
            return ids


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(prefix=st.sampled_from(["", *IDS, "crm_", "é", "zz"]), limit=st.integers(1, 15))
async def test_ids_are_listed_in_the_order_of_their_bytes(store: StoreCalls, prefix: str, limit: int) -> None:
    for number, contact in enumerate(IDS):
        await store.contact(contact, email=f"u{number}@acme.test")
    expected = sorted((one for one in IDS if one.startswith(prefix)), key=str.encode)
    assert await found(store, Wanted(prefix=prefix), limit) == expected


async def test_an_address_is_found_in_whatever_letters(store: StoreCalls) -> None:
    await store.contact("ann", email="Ann@Acme.test", phone="+41446681800")
    await store.contact("bob", email="bob@acme.test", phone="+41446681800")
    assert await found(store, Wanted(emails=["ann@ACME.test", "x@y.test"])) == ["ann"]
    assert await found(store, Wanted(phone="+41446681800")) == ["ann", "bob"]
    assert await found(store, Wanted(emails=["bob@acme.test"], phone="+41446681800")) == ["bob"]


@pytest.mark.parametrize("few", [0, 3])
async def test_an_attribute_of_many_is_found_in_the_order_of_ids_too(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(contact_search, "_FEW", few)
    for number in range(8):
        await store.contact(f"c{number}", attributes={"plan": "team" if number % 2 else "free", "one": number == 4})
    assert await found(store, Wanted(attribute=("plan", "team")), 3) == ["c1", "c3", "c5", "c7"]
    assert await found(store, Wanted(attribute=("plan", "team"), prefix="c5"), 3) == ["c5"]
    assert await found(store, Wanted(attribute=("one", "true")), 3) == ["c4"]
    assert await found(store, Wanted(attribute=("one", "true"), prefix="d"), 3) == []


@pytest.mark.parametrize(
    ("value", "written"),
    [("team", "team"), (7, "7"), ("7", "7"), (True, "true"), ("true", "true"), (1.5, "1.5"), ("a:b", "a:b"), ("", "")],
)
async def test_an_attribute_is_found_as_text_or_as_what_it_is(store: StoreCalls, value: Any, written: str) -> None:
    await store.contact("ann", attributes={"plan": value, "other": 1})
    await store.contact("bob", attributes={"plan": "else", "other": value})
    assert await found(store, Wanted(attribute=("plan", written))) == ["ann"]
    assert await found(store, Wanted(attribute=("plan", "NaN"))) == []
