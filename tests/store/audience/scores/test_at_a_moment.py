"""What a handoff keeps of a contact's scores, and evaluating a contact anew after a merge."""

from __future__ import annotations

from datetime import timedelta
from math import fsum

import pytest
from sqlalchemy import text

from store.audience.memberships.whole_contact import evaluate_anew
from store.audience.scores import at_a_moment
from store.people import contacts
from store.runs.events import events
from store.runs.events.events import Event
from tests.store.audience.scores.score_calls import VIEWED, checked, grade, live, told, written
from tests.store.audience.segment_calls import live as live_segment
from tests.store.audience.segment_calls import members
from tests.store.store_calls import NOW, StoreCalls

TEAM = {"id": "team", "when": 'contact.attributes.plan == "team"', "points": 25}


async def test_all_scores_of_a_contact_at_a_moment_with_what_each_rule_adds(store: StoreCalls) -> None:
    await live(store, written("then-1", VIEWED, fit=[TEAM]))
    await live(store, written("then-2", VIEWED))
    await store.contact("ann", attributes={"plan": "team"})
    await store.accept(Event("v1", "ann", "page.viewed", {}, NOW))
    async with store.db.transaction() as tx:
        person = await contacts.get(tx, "ann")
        assert person is not None
        found = await at_a_moment.all_of(tx, person, NOW + timedelta(days=7))
    assert {name: one.to_data() for name, one in found.items()} == {
        "then-1": {"version": 1, "value": 30.0, "grade": "warm", "points": {"team": 25.0, "viewed": 5.0}},
        "then-2": {"version": 1, "value": 5.0, "grade": "cold", "points": {"viewed": 5.0}},
    }
    assert found["then-1"].value == pytest.approx(fsum(found["then-1"].points().values()))


async def test_facts_that_moved_to_a_contact_count_when_it_is_evaluated_anew(store: StoreCalls) -> None:
    await live(store, written("whole-1", VIEWED))
    await live_segment(store, "seen", {"did": "page.viewed", "times": ">= 3"})
    for who, number in (("ann", 1), ("bob", 2)):
        await store.accept(*(Event(f"{who}-{n}", who, "page.viewed", {}, NOW) for n in range(number)))
    async with store.db.transaction() as tx:
        await tx.execute(text("UPDATE event SET contact_id = 'ann' WHERE contact_id = 'bob' AND name = 'page.viewed'"))
        await events.tell_changes(tx, await evaluate_anew(tx, ["ann", "bob"], NOW), now=NOW)
    assert (await grade(store, "ann", "whole-1"), await grade(store, "bob", "whole-1")) == ("warm", "cold")
    assert await members(store, "seen") == ["ann"]
    assert await told(store) == [("whole-1", "cold", "warm")]
    assert (await checked(store, "whole-1", NOW)).differences == []
