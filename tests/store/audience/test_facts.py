"""Facts of contacts as a segment sees them: their own events, of the names it needs, as far back as it looks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.audience import facts
from store.audience.facts import facts_of, horizon, sample
from store.people import contacts
from tests.store.store_calls import NOW, StoreCalls


async def test_a_contact_has_their_own_events_of_these_names_since_then(calls: StoreCalls) -> None:
    for who in ("ann", "bob"):
        await calls.contact(who, attributes={"plan": "team"})
    await calls.happen("app.used", "ann", "a1", minutes=5)
    await calls.happen("page.viewed", "ann", "a2")
    await calls.happen("app.used", "bob", "b1")
    async with calls.db.transaction() as tx:
        people = [one for who in ("ann", "bob") if (one := await contacts.get(tx, who))]
        found = await facts_of(tx, people, {"app.used", "order.paid"}, NOW - timedelta(days=1))
        later = await facts_of(tx, people, {"app.used"}, NOW)
        without = await facts_of(tx, people, set(), None)
    ann, bob = found["ann"], found["bob"]
    assert ann is not None and bob is not None
    assert ann.contact["attributes"] == {"plan": "team"} and ann.contact["has_email"] is True
    assert [(fact.event_id, fact.name, fact.properties) for fact in ann.events] == [("a1", "app.used", {"minutes": 5})]
    assert [fact.event_id for fact in bob.events] == ["b1"]
    assert [known.events for known in later.values() if known] == [[], []]
    assert [known.events for known in without.values() if known] == [[], []]


async def test_a_contact_with_too_many_events_is_told_apart(calls: StoreCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MAX_EVENTS", 3)
    for who, count in (("ann", 3), ("bob", 4)):
        await calls.contact(who)
        for number in range(count):
            await calls.happen("app.used", who, f"{who}-{number}")
    async with calls.db.transaction() as tx:
        people = [one for who in ("ann", "bob") if (one := await contacts.get(tx, who))]
        found = await facts_of(tx, people, {"app.used"}, None)
    assert found["ann"] is not None and len(found["ann"].events) == 3
    assert found["bob"] is None


async def test_few_contacts_are_all_taken_and_of_many_a_random_share(calls: StoreCalls) -> None:
    await calls.rows("INSERT INTO contact (id) SELECT 'c-' || n FROM generate_series(1, 4000) n RETURNING 1")
    async with calls.db.transaction() as tx:
        every, some, others = await sample(tx, 4000), await sample(tx, 1000), await sample(tx, 1000)
    assert (len(every.contacts), every.total, every.complete) == (4000, 4000, True)
    assert 800 < len(some.contacts) < 1200 and (some.total, some.complete) == (4000, False)
    assert [one.id for one in some.contacts] != [one.id for one in others.contacts]


def test_a_segment_looks_back_as_far_as_its_longest_window() -> None:
    assert horizon(None, NOW) is None
    assert horizon(timedelta(days=7), NOW) == NOW - timedelta(days=7)
