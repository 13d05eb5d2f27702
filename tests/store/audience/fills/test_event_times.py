"""The short way of reading facts for a filling gives what the general way gives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audience.segments.decision import Decider
from audience.segments.document import segment_from_data
from audience.segments.members import Members
from audience.segments.probes import probes
from store.audience.facts import contacts_after, facts_of
from store.audience.fills import event_times
from store.runs.events.events import Event
from tests.store.audience.segment_calls import live, members
from tests.store.store_calls import NOW, StoreCalls

TREES = (
    'contact.attributes.plan == "team"',
    {"did_not": "app.used", "within": "3d"},
    {"any": [{"did": "app.used", "times": ">= 2", "within": "9d"}, {"first": "order.paid", "before": "2d"}]},
    {"all": [{"not": 'contact.attributes.plan == "free"'}, {"last": "app.used", "before": "1d", "within": "5d"}]},
)


def tree(members: Any) -> Members:
    return segment_from_data({"segment": "any", "members": members}).members


@pytest.mark.parametrize("given", TREES, ids=str)
async def test_both_ways_decide_the_same_of_each_contact(store: StoreCalls, given: Any) -> None:
    for number in range(12):
        who = f"c{number:02}"
        await store.contact(who, attributes={"plan": ("team", "free", None)[number % 3]})
        for day in range(number):
            at = NOW - timedelta(days=day, hours=number)
            name = "app.used" if (day + number) % 2 else "order.paid"
            await store.accept(Event(f"{who}-{day}", who, name, {}, at))
    members, decider = tree(given), Decider(tree(given))
    asked = event_times.asks_only_when(members)
    assert asked is not None
    async with store.db.transaction() as tx:
        short = await event_times.facts_after(tx, members, asked, NOW, after="c01", limit=9)
        people = await contacts_after(tx, "c01", 9)
        general = await facts_of(tx, [(person, probes([members])) for person in people], NOW)
    assert short is not None and [who for who, _ in short] == [f"c{number:02}" for number in range(2, 11)]
    assert {who: decider.judged(facts, NOW) for who, facts in short} == {
        who: decider.judged(facts, NOW) for who, facts in general.items()
    }


async def test_an_event_to_come_is_left_to_the_general_way(store: StoreCalls) -> None:
    await store.accept(Event("e1", "ann", "app.used", {}, NOW + timedelta(days=1)))
    members_of, asked = tree(TREES[1]), event_times.asks_only_when(tree(TREES[1]))
    assert asked is not None
    async with store.db.transaction() as tx:
        assert await event_times.facts_after(tx, members_of, asked, NOW, after="", limit=9) is None
    await live(store, "quiet", TREES[1])
    assert await members(store, "quiet") == ["ann"]


@pytest.mark.parametrize(
    "given",
    [
        {"did": "order.paid", "where": "event.properties.total > 5"},
        {"sum": "order.paid.total", "is": "> 5"},
        {"date": "renewal_date", "within": "next 3d"},
        {"all": [{"first": "app.used", "within": "3d"}, {"last": "app.used", "within": "3d"}]},
    ],
    ids=str,
)
def test_what_asks_for_more_than_moments_goes_the_general_way(given: Any) -> None:
    assert event_times.asks_only_when(tree(given)) is None
