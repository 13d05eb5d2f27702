"""Tracks that are entered by a date of the contact: by time alone, once for each occurrence, and never for the past."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.audience.fills import segment_fills
from store.people import contacts, erasure
from store.published import date_segments, segments
from tests.store.audience.segment_calls import fill, pass_time
from tests.store.store_calls import NOW, StoreCalls

BIRTHDAY = """
track: birthday
entry: {date: {attribute: birthday, yearly: true, feb_29: feb-28, offset: -3d, time: '09:00'}}
reentry: always
defaults: {timezone: Europe/Berlin}
steps:
  - {id: pause, wait: 1d}
"""
DAY = timedelta(days=1)
COMES = datetime(2026, 3, 17, 8, 0, tzinfo=UTC)
"""Three days before 20 March, at nine in Berlin."""


async def born(
    store: StoreCalls, who: str = "ann", day: str | None = "1990-03-20", at: datetime = NOW, **more: Any
) -> None:
    """Set the birthday of a contact, as the API does."""
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, who, {"attributes": {"birthday": day}, **more}, now=at)  # type: ignore[typeddict-item]


async def reached(store: StoreCalls) -> list[tuple[str, datetime]]:
    rows = await store.rows("SELECT contact_id, occurred_at FROM event WHERE name = 'date.reached' ORDER BY 2, 1")
    return [(row.contact_id, row.occurred_at) for row in rows]


async def runs(store: StoreCalls) -> list[tuple[str, str]]:
    rows = await store.rows("SELECT contact_id, entry FROM enrollment ORDER BY id")
    return [(row.contact_id, row.entry) for row in rows]


async def test_who_is_known_when_the_track_is_published_enters_when_the_date_comes(store: StoreCalls) -> None:
    await born(store)
    await born(store, "bob", "1985-03-19")
    await born(store, "eve", None)
    await store.publish(BIRTHDAY)
    await fill(store)
    await pass_time(store, COMES - timedelta(seconds=1))
    assert await runs(store) == [("bob", "birthday")]
    await pass_time(store, COMES + timedelta(seconds=5))
    assert await runs(store) == [("bob", "birthday"), ("ann", "birthday")]
    assert await reached(store) == [("bob", COMES - DAY), ("ann", COMES)]


async def test_a_date_that_had_passed_when_the_track_was_published_enrols_nobody(store: StoreCalls) -> None:
    await born(store, day="1990-03-04")  # three days before was yesterday
    await store.publish(BIRTHDAY)
    await fill(store, NOW + timedelta(hours=1))
    await pass_time(store, NOW + timedelta(days=300))
    assert await reached(store) == []
    await pass_time(store, NOW + timedelta(days=366))
    assert [moment.date().isoformat() for _, moment in await reached(store)] == ["2027-03-01"]


async def test_each_year_is_told_once_also_after_an_outage_of_years(store: StoreCalls) -> None:
    await store.publish(BIRTHDAY)
    await fill(store)
    await born(store, day="2000-02-29")
    await pass_time(store, NOW + timedelta(days=3 * 366 - 1))
    days = [moment.date().isoformat() for _, moment in await reached(store)]
    assert days == ["2027-02-25", "2028-02-26", "2029-02-25"]
    assert await runs(store) == [("ann", "birthday")], "the others are older than max_age when they are told"
    await pass_time(store, NOW + timedelta(days=3 * 366))
    assert len(await reached(store)) == 3


@pytest.mark.parametrize(("late", "enrolled"), [(6 * DAY, 1), (8 * DAY, 0)])
async def test_a_moment_that_is_found_late_enrols_within_the_age_of_the_entry(
    store: StoreCalls, late: timedelta, enrolled: int
) -> None:
    await store.publish(BIRTHDAY)
    await born(store)
    await pass_time(store, COMES + late)
    assert len(await runs(store)) == enrolled


async def test_a_changed_attribute_moves_the_moment_and_the_past_is_never_made_up_for(store: StoreCalls) -> None:
    await store.publish(BIRTHDAY)
    await born(store)
    await born(store, day="1990-03-18", at=NOW)
    await pass_time(store, COMES - 2 * DAY)
    assert await reached(store) == [("ann", COMES - 2 * DAY)]
    await born(store, day="1990-03-01", at=COMES - DAY)
    await born(store, "new", day="1990-03-02", at=COMES - DAY)
    await pass_time(store, COMES + 30 * DAY)
    assert len(await reached(store)) == 1


async def test_who_moves_to_another_zone_on_the_day_does_not_meet_it_twice(store: StoreCalls) -> None:
    await store.publish(BIRTHDAY)
    await born(store, timezone="Europe/Berlin")
    await pass_time(store, COMES)
    await born(store, at=COMES + timedelta(hours=1), timezone="America/New_York")
    await pass_time(store, COMES + DAY)
    assert await reached(store) == [("ann", COMES)]


async def test_several_workers_tell_each_moment_once(store: StoreCalls) -> None:
    await store.publish(BIRTHDAY)
    await fill(store)
    for number in range(30):
        await born(store, f"c{number}")
    await asyncio.gather(*(pass_time(store, COMES + timedelta(seconds=1)) for _ in range(3)))
    assert len(await reached(store)) == 30
    assert len(await runs(store)) == 30


async def test_what_comes_while_contacts_are_being_registered_is_not_lost(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_fills, "CHUNK", 2)
    for who in ("ann", "bob", "eve"):
        await born(store, who)
    await store.publish(BIRTHDAY)
    async with store.db.transaction() as tx:
        assert await segment_fills.step(tx, NOW) is not None
    await pass_time(store, COMES)  # eve's turn has not come
    assert [who for who, _ in await reached(store)] == ["ann", "bob"]
    await fill(store, COMES + timedelta(minutes=1))
    await pass_time(store, COMES + timedelta(minutes=2))
    assert await reached(store) == [("ann", COMES), ("bob", COMES), ("eve", COMES)]


async def test_tracks_with_the_same_date_share_it_and_a_later_one_does_not_enter_by_what_was_before_it(
    store: StoreCalls,
) -> None:
    await store.publish(BIRTHDAY, BIRTHDAY.replace("track: birthday", "track: cake"))
    await born(store)
    rows = await store.rows("SELECT name FROM segment")
    assert len(rows) == 1
    await store.rows(
        "UPDATE track SET rules = jsonb_set(rules, '{entries,0,since}', to_jsonb(CAST(:later AS text)))"
        " WHERE name = 'cake' RETURNING name",
        later=(COMES + timedelta(seconds=1)).isoformat(),
    )
    await pass_time(store, COMES + timedelta(seconds=5))
    assert await store.rows("SELECT track FROM enrollment") == [("birthday",)]


async def test_a_date_that_no_track_names_any_more_is_forgotten_and_comes_back_when_one_does(store: StoreCalls) -> None:
    await born(store)
    await store.publish(BIRTHDAY)
    await fill(store)
    plain = BIRTHDAY.replace(
        "date: {attribute: birthday, yearly: true, feb_29: feb-28, offset: -3d, time: '09:00'}", "event: a"
    )
    await store.publish(plain)
    async with store.db.transaction() as tx:
        await date_segments.keep(tx, [], now=NOW)
    await fill(store)
    assert await store.rows("SELECT contact_id FROM membership") == []
    await pass_time(store, COMES)
    assert await reached(store) == []
    await store.publish(BIRTHDAY)
    await fill(store)
    await pass_time(store, COMES)
    assert await reached(store) == [("ann", COMES)]


async def test_the_segments_of_dates_have_no_name_in_lists_and_none_in_conditions(store: StoreCalls) -> None:
    await store.publish(BIRTHDAY)
    await born(store)
    await pass_time(store, COMES + timedelta(seconds=1))
    async with store.db.transaction() as tx:
        assert await segments.list_all(tx) == [] and await segments.names(tx) == set()
        person = await contacts.get(tx, "ann")
    assert person is not None and list(person.segments) == []


async def test_an_erased_contact_leaves_nothing_of_their_date(store: StoreCalls) -> None:
    await store.publish(BIRTHDAY)
    await born(store)
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
    await pass_time(store, COMES)
    assert await reached(store) == [] and await store.rows("SELECT contact_id FROM membership") == []
