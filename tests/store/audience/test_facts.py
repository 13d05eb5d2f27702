"""Facts of contacts as a segment sees them: their own events, and no more of these than are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from audience.facts import Facts
from audience.segments.probes import Probe
from store.audience import facts
from store.audience.facts import facts_of, sample
from store.people import contacts
from store.runs.events.events import Event
from tests.store.store_calls import NOW, StoreCalls

DAY = timedelta(days=1)


async def read(store: StoreCalls, who: Sequence[str], *asked: Probe) -> Mapping[str, Facts | None]:
    async with store.db.transaction() as tx:
        people = [found for one in who if (found := await contacts.get(tx, one))]
        return await facts_of(tx, [(person, asked) for person in people], NOW)


async def used(store: StoreCalls, who: str, *days: int) -> None:
    await store.accept(*(Event(f"{who}-{n}", who, "app.used", {"n": n}, NOW - n * DAY) for n in days))


async def test_a_contact_has_their_own_events_of_these_names(store: StoreCalls) -> None:
    for who in ("ann", "bob", "eve"):
        await store.contact(who, attributes={"plan": "team"})
    await used(store, "ann", 1, 2)
    await used(store, "bob", 3)
    await store.happen("page.viewed", "ann", "other")
    found = await read(store, ["ann", "bob", "eve"], Probe("app.used", False, None, None, True))
    ann, eve = found["ann"], found["eve"]
    assert ann is not None and ann.contact["attributes"] == {"plan": "team"} and ann.contact["has_email"] is True
    assert {(fact.event_id, fact.at, fact.properties["n"]) for fact in ann.events} == {
        ("ann-1", NOW - DAY, 1),
        ("ann-2", NOW - 2 * DAY, 2),
    }
    assert eve is not None and eve.events == ()


@pytest.mark.parametrize(
    ("probe", "days"),
    [
        (Probe("app.used", False, 2, None, False), {1, 2}),
        (Probe("app.used", True, 2, None, False), {5, 9}),
        (Probe("app.used", False, None, 3 * DAY, False), {1, 2}),
        (Probe("app.used", False, 1, 3 * DAY, False), {1}),
    ],
)
async def test_only_the_events_that_decide_are_read(store: StoreCalls, probe: Probe, days: set[int]) -> None:
    await used(store, "ann", 9, 1, 5, 2, 3)
    ann = (await read(store, ["ann"], probe))["ann"]
    assert ann is not None and {fact.event_id for fact in ann.events} == {f"ann-{n}" for n in days}
    assert {str(fact.properties) for fact in ann.events} == {"{}"}  # nobody asked for them


async def test_a_contact_with_too_many_events_is_told_apart(store: StoreCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MAX_EVENTS", 3)
    await used(store, "ann", 1, 2, 3)
    await used(store, "bob", 1, 2, 3, 4)
    found = await read(store, ["ann", "bob"], Probe("app.used", False, None, None, False))
    assert found["ann"] is not None and len(found["ann"].events) == 3
    assert found["bob"] is None
    few = await read(store, ["bob"], Probe("app.used", False, 2, None, False))
    assert few["bob"] is not None


async def test_few_contacts_are_all_taken_and_of_many_a_random_share(store: StoreCalls) -> None:
    await store.rows("INSERT INTO contact (id) SELECT 'c-' || n FROM generate_series(1, 4000) n RETURNING 1")
    async with store.db.transaction() as tx:
        every, some, others = await sample(tx, 4000), await sample(tx, 1000), await sample(tx, 1000)
    assert (len(every.contacts), every.total, every.complete) == (4000, 4000, True)
    assert 800 < len(some.contacts) < 1200 and (some.total, some.complete) == (4000, False)
    assert [one.id for one in some.contacts] != [one.id for one in others.contacts]


async def test_the_oldest_event_keeps_its_properties_where_another_probe_asks_for_them(store: StoreCalls) -> None:
    await used(store, "ann", 1, 2)
    whole, first = Probe("app.used", False, None, None, True), Probe("app.used", True, 1, None, False)
    ann = (await read(store, ["ann"], whole, first))["ann"]
    assert ann is not None and sorted(fact.properties["n"] for fact in ann.events) == [1, 2]


async def test_of_shared_facts_each_reader_knows_whether_they_suffice(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_EVENTS", 3)
    await used(store, "ann", 1, 2, 3, 4, 5)
    every = Probe("app.used", False, None, None, True)
    async with store.db.transaction() as tx:
        person = await contacts.get(tx, "ann")
        assert person is not None
        ann = (await facts.shared_facts_of(tx, [(person, [every])], NOW))["ann"]
    assert facts.enough(ann, [every], NOW) is None
    assert facts.enough(ann, [Probe("app.used", False, 3, None, False)], NOW) is ann
    assert facts.enough(ann, [Probe("app.used", False, None, 4 * DAY, False)], NOW) is ann
    assert facts.enough(ann, [Probe("app.used", False, None, 5 * DAY, False)], NOW) is None
