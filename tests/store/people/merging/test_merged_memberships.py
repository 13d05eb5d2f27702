"""Segments after a merge: the survivor is who the facts of both say, the merged id is nobody, changes are told once."""

from __future__ import annotations

from typing import Any

from tests.store.audience.segment_calls import checked, fill, live, members, publish, told
from tests.store.people.merging.merge_calls import merged, unmerged
from tests.store.store_calls import NOW, StoreCalls

TEAM = 'contact.attributes.plan == "team"'
LEAVES = """
track: leaves-team
exits: [{event: segment.left, where: 'event.properties.segment == "team"', reason: left}]
steps:
  - id: hello
    email: {template: hello, from: 'Ada <ada@acme.test>'}
"""


async def both(store: StoreCalls, ann: dict[str, Any], bob: dict[str, Any]) -> None:
    await store.contact("ann", attributes=ann)
    await store.contact("bob", attributes=bob)


async def test_events_of_both_together_make_the_survivor_a_member(store: StoreCalls) -> None:
    await live(store, "vip", {"did": "order.paid", "times": ">= 3"})
    await both(store, {}, {})
    for number in range(4):
        await store.happen("order.paid", "ann" if number % 2 else "bob", f"o{number}")
    assert await members(store, "vip") == []
    await merged(store)
    assert (await members(store, "vip"), await told(store)) == (["ann"], [("entered", "vip")])
    await unmerged(store)
    assert await members(store, "vip") == []
    assert await told(store) == [("entered", "vip"), ("left", "vip")]


async def test_a_member_who_is_merged_into_a_member_changes_nothing(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    await both(store, {"plan": "team"}, {"plan": "team"})
    await merged(store)
    assert await members(store, "team") == ["ann"]
    assert sorted(await told(store)) == [("entered", "team"), ("entered", "team")], "each id had entered by itself"
    assert (await store.happen("seen", "bob")).merged_into == "ann"


async def test_a_run_that_came_along_leaves_with_the_segment_that_the_survivor_is_not_in(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    await store.publish(LEAVES)
    await both(store, {"plan": "free"}, {"plan": "team"})
    run = await store.enrolled("leaves-team", "bob")
    await merged(store)
    assert (await members(store, "team"), await told(store)) == ([], [("entered", "team"), ("left", "team")])
    assert [payload["matches"] for _, payload in await store.waiting("event")] == [["exit:left"]]
    assert (await store.claim(run.id, now=NOW)).reason == "exit"


async def test_a_survivor_who_stays_a_member_keeps_its_runs(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    await store.publish(LEAVES)
    await both(store, {"plan": "team"}, {"plan": "free"})
    run = await store.enrolled("leaves-team", "ann")
    await merged(store)
    assert await members(store, "team") == ["ann"]
    assert (await store.claim(run.id, now=NOW)).decision == "granted"


async def test_a_segment_that_is_being_filled_has_the_survivor_alone(store: StoreCalls) -> None:
    await both(store, {"plan": "free"}, {"plan": "team", "seats": 3})
    await publish(store, "seated", "contact.attributes.seats == 3")
    await merged(store)
    await fill(store)
    assert await members(store, "seated") == ["ann"]
    assert (await checked(store, "seated", NOW)).differences == []
    assert await store.rows("SELECT 1 FROM membership WHERE contact_id = 'bob'") == []
