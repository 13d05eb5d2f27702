"""A contact's score and grade change in the transaction that stores the cause, and by time alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.people import contacts, erasure
from store.runs.events.events import Event
from tests.store.audience.scores.score_calls import (
    VIEWED,
    checked,
    fill,
    grade,
    live,
    publish,
    told,
    value,
    written,
)
from tests.store.audience.segment_calls import live as live_segment
from tests.store.audience.segment_calls import members, pass_time
from tests.store.audience.segment_calls import told as told_of_segments
from tests.store.store_calls import NOW, StoreCalls

DAY = timedelta(days=1)


async def views(store: StoreCalls, count: int, *, who: str = "ann", now: object = NOW) -> None:
    for number in range(count):
        await store.accept(Event(f"{who}-{now}-{number}", who, "page.viewed", {}, now), now=now)  # type: ignore[arg-type]


async def test_an_event_changes_the_score_and_tells_of_the_grade_once(store: StoreCalls) -> None:
    await live(store, written("lead-1", VIEWED))
    await views(store, 3)
    await store.accept(Event(f"ann-{NOW}-0", "ann", "page.viewed", {}, NOW), now=NOW)  # sent twice

    assert (await value(store, "ann", "lead-1")).value == 30
    assert await grade(store, "ann", "lead-1") == "warm"
    assert await told(store) == [("lead-1", "cold", "warm")]


async def test_a_late_event_gives_what_it_would_have_given_in_time(store: StoreCalls) -> None:
    await live(store, written("lead-2", VIEWED))
    await store.accept(Event("now", "ann", "page.viewed", {}, NOW), now=NOW)
    await store.accept(Event("late", "ann", "page.viewed", {}, NOW - 7 * DAY), now=NOW)
    assert (await value(store, "ann", "lead-2")).value == pytest.approx(15)


async def test_a_changed_attribute_changes_the_score(store: StoreCalls) -> None:
    team = {"id": "team", "when": 'contact.attributes.plan == "team"', "points": 25}
    await live(store, written("lead-3", fit=[team]))
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, "ann", {"attributes": {"plan": "team"}}, now=NOW)
    assert await told(store) == [("lead-3", "cold", "warm")]
    async with store.db.transaction() as tx:
        answered = await contacts.upsert(tx, "ann", {"attributes": {"plan": "free"}}, now=NOW)
        assert answered.contact.scores_at() == {"lead-3": {"value": 0.0, "grade": "cold"}}
    assert await told(store) == [("lead-3", "cold", "warm"), ("lead-3", "warm", "cold")]


async def test_a_grade_falls_by_time_alone_with_its_own_moment(store: StoreCalls) -> None:
    await live(store, written("lead-4", VIEWED))
    await views(store, 4)
    await pass_time(store, NOW + timedelta(seconds=1))  # the deadline of the first views was kept: nothing changed then
    due = (await value(store, "ann", "lead-4")).changes_at
    assert due is not None
    assert abs(due - (NOW + 7 * DAY)) < timedelta(seconds=1)
    await pass_time(store, due - timedelta(microseconds=1))
    assert await grade(store, "ann", "lead-4") == "warm"

    await pass_time(store, NOW + 30 * DAY)

    assert await told(store) == [("lead-4", "cold", "warm"), ("lead-4", "warm", "cold")]
    assert (await value(store, "ann", "lead-4")).since == due
    assert (await checked(store, "lead-4", NOW + 30 * DAY)).differences == []


async def test_what_conditions_read_is_the_value_at_the_moment_of_reading(store: StoreCalls) -> None:
    await live(store, written("lead-5", VIEWED, {"id": "seen", "event": "page.viewed", "points": 1, "within": "3d"}))
    await views(store, 4)
    async with store.db.transaction() as tx:
        person = await contacts.get(tx, "ann")
    assert person is not None
    assert person.scores_at(NOW)["lead-5"] == {"value": 44.0, "grade": "warm"}
    assert person.scores_at(NOW + 7 * DAY)["lead-5"]["value"] == pytest.approx(20)
    assert person.view()["scores"]["lead-5"]["grade"] == "warm"


async def test_a_change_of_a_grade_changes_the_segments_about_it_in_the_same_transaction(store: StoreCalls) -> None:
    await live(store, written("lead-6", VIEWED))
    await live_segment(store, "warm-6", {"score": "lead-6", "grade": ["warm", "hot"]})
    await live_segment(store, "cool-6", {"not": {"score": "lead-6", "grade": "hot"}})
    await views(store, 3)
    assert await members(store, "warm-6") == ["ann"]
    await views(store, 3, now=NOW + timedelta(hours=1))
    assert await members(store, "warm-6") == ["ann"]
    assert await members(store, "cool-6") == []
    await pass_time(store, NOW + 60 * DAY)
    assert await members(store, "warm-6") == []
    assert [one for one in await told_of_segments(store) if one[1] == "warm-6"] == [
        ("entered", "warm-6"),
        ("left", "warm-6"),
    ]


async def test_two_writers_who_each_bring_half_of_a_grade_do_not_miss_each_other(store: StoreCalls) -> None:
    signed = {"id": "signed", "event": "trial.signed", "points": 10, "half_life": "never"}
    await live(store, written("lead-7", VIEWED, signed))
    await store.accept(Event("first", "ann", "other", {}, NOW), now=NOW)
    await asyncio.gather(
        *(
            store.accept(Event(f"v{n}", "ann", ["page.viewed", "trial.signed"][n % 2], {}, NOW), now=NOW)
            for n in range(8)
        )
    )
    assert (await value(store, "ann", "lead-7")).value == 80
    assert await grade(store, "ann", "lead-7") == "hot"
    assert (await told(store))[-1][2] == "hot"
    assert len(await told(store)) == len(set(await told(store)))


async def test_an_event_that_gives_no_points_writes_no_value(store: StoreCalls) -> None:
    await live(store, written("lead-8", {**VIEWED, "cap": {"most": 1}}))
    await views(store, 1)
    before = await store.rows("SELECT xmin::text FROM score_value WHERE score = 'lead-8'")
    await views(store, 3, now=NOW + DAY)
    assert await store.rows("SELECT xmin::text FROM score_value WHERE score = 'lead-8'") == before


async def test_a_contact_with_too_many_events_has_no_points_and_is_counted(store: StoreCalls) -> None:
    await live(store, written("lead-9", VIEWED))
    await live_segment(store, "seen-9", {"did": "page.viewed", "within": "30d"})
    await store.accept(*(Event(f"v{n}", "ann", "page.viewed", {}, NOW) for n in range(2_001)))
    stored = await value(store, "ann", "lead-9")
    assert (stored.value, stored.grade, stored.changes_at) == (0.0, "cold", NOW + DAY)
    rows = await store.rows("SELECT sum(count) AS n FROM dropped WHERE reason = 'not judged' AND kind = 'score'")
    assert rows[0].n == 1
    assert await members(store, "seen-9") == ["ann"]  # the newest events suffice for the segment
    assert (await checked(store, "lead-9", NOW)).differences == []


async def test_erasure_removes_the_scores(store: StoreCalls) -> None:
    await live(store, written("lead-10", VIEWED))
    await views(store, 3)
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
    assert await store.rows("SELECT * FROM score_value WHERE contact_id = 'ann'") == []


async def test_a_new_contact_has_the_lowest_grade_without_being_told(store: StoreCalls) -> None:
    await publish(store, written("lead-11", VIEWED))
    await fill(store)
    await store.accept(Event("other", "bob", "other", {}, NOW), now=NOW)
    assert await grade(store, "bob", "lead-11") == "cold"
    assert await told(store, "bob") == []
