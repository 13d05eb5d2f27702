"""Members at any moment are who the facts say, and each change is told once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import text

from store.audience.memberships.due_memberships import overdue, take_due
from store.people import contacts, erasure
from store.runs.events.events import Event
from tests.store.audience.segment_calls import checked, fill, live, members, pass_time, plan, publish, told
from tests.store.store_calls import NOW, StoreCalls

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
TEAM = 'contact.attributes.plan == "team"'
QUIET = {"did_not": "app.used", "within": "14d"}


async def test_an_event_makes_a_member_in_its_own_transaction(store: StoreCalls) -> None:
    await live(store, "vip", {"did": "order.paid", "times": ">= 3"})
    for number in range(5):
        await store.happen("order.paid", "ann", f"o{number}")
        assert (await members(store, "vip") == ["ann"]) == (number >= 2)
    assert await told(store) == [("entered", "vip")]


async def test_an_attribute_makes_a_member_and_takes_it_back(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    async with store.db.transaction() as tx:
        entered = await contacts.upsert(tx, "ann", {"attributes": {"plan": "team"}}, now=NOW)
    assert entered.contact.segments == ["team"]
    async with store.db.transaction() as tx:
        found = await contacts.get(tx, "ann")
        left = await contacts.upsert(tx, "ann", {"attributes": {"plan": "free"}}, now=NOW)
    assert found is not None and found.segments == ["team"] and left.contact.segments == []
    assert await told(store) == [("entered", "team"), ("left", "team")]


async def test_silence_makes_a_member_at_the_exact_moment(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await store.accept(Event("u1", "ann", "app.used", {}, NOW))
    assert await members(store, "quiet") == []
    await pass_time(store, NOW + 14 * DAY - SECOND)
    assert await members(store, "quiet") == []
    await pass_time(store, NOW + 14 * DAY + 5 * SECOND)
    assert await members(store, "quiet") == ["ann"]
    at = (await store.rows("SELECT occurred_at FROM event WHERE name = 'segment.entered'"))[0].occurred_at
    assert at == NOW + 14 * DAY
    await store.accept(Event("u2", "ann", "app.used", {}), now=NOW + 15 * DAY)
    assert await members(store, "quiet") == []
    assert await told(store) == [("entered", "quiet"), ("left", "quiet")]


async def test_who_is_new_and_never_did_it_is_a_member_from_the_start(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await store.contact("ann")
    await store.happen("page.viewed", "bob")
    await store.accept(Event("u1", "eve", "app.used"))
    assert await members(store, "quiet") == ["ann", "bob"]


async def test_an_active_contact_costs_no_write(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await store.accept(Event("u0", "ann", "app.used", {}, NOW))
    before = await store.rows("SELECT xmin::text, changes_at FROM membership WHERE contact_id = 'ann'")
    for day in range(1, 12):
        await store.accept(Event(f"u{day}", "ann", "app.used"), now=NOW + day * DAY)
    assert await store.rows("SELECT xmin::text, changes_at FROM membership WHERE contact_id = 'ann'") == before
    await pass_time(store, NOW + 20 * DAY)
    assert (await store.rows("SELECT changes_at FROM membership"))[0].changes_at == NOW + 25 * DAY
    assert await members(store, "quiet") == []


async def test_changes_of_an_outage_are_told_one_by_one_with_their_own_moments(store: StoreCalls) -> None:
    await live(
        store, "once-a-week", {"all": [{"did": "app.used", "within": "7d"}, {"did_not": "app.used", "within": "1d"}]}
    )
    await store.accept(Event("u1", "ann", "app.used", {}, NOW))
    await pass_time(store, NOW + 30 * DAY)
    rows = await store.rows("SELECT name, occurred_at FROM event WHERE name LIKE 'segment.%' ORDER BY occurred_at")
    assert [(row.name, row.occurred_at) for row in rows] == [
        ("segment.entered", NOW + DAY),
        ("segment.left", NOW + 7 * DAY),
    ]


async def test_a_use_before_the_clock_is_looked_at_does_not_hide_the_silence(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await store.accept(Event("u1", "ann", "app.used", {}, NOW))
    await store.accept(Event("u2", "ann", "app.used"), now=NOW + 14 * DAY + 3 * SECOND)
    assert await told(store) == [("entered", "quiet"), ("left", "quiet")]
    assert await members(store, "quiet") == []


async def test_two_halves_in_two_transactions_at_once_make_one_member(store: StoreCalls) -> None:
    await live(store, "both", {"all": [{"did": "a"}, {"did": "b"}]})
    for round_ in range(20):
        who = f"c{round_}"
        await asyncio.gather(store.happen("a", who, f"a{round_}"), store.happen("b", who, f"b{round_}"))
        assert await told(store, who) == [("entered", "both")]


async def test_a_change_enters_tracks_and_ends_runs(store: StoreCalls) -> None:
    track = """
track: save
entry: {segment: risk, where: contact.attributes.plan == "team"}
reentry: always
exits: [{leaves: risk}]
steps: [{id: wait, wait: 3d}]
"""
    await live(
        store, "risk", {"all": [{"did": "payment.failed", "within": "7d"}, {"did_not": "payment.made", "within": "7d"}]}
    )
    await store.publish(track)
    await store.contact("ann", **plan("team"))
    await store.contact("bob", **plan("free"))
    for who in ("ann", "bob"):
        await store.happen("payment.failed", who, f"f-{who}")
    rows = await store.rows("SELECT contact_id, exit_reached_at FROM enrollment")
    assert [(row.contact_id, row.exit_reached_at) for row in rows] == [("ann", None)]
    await store.happen("payment.made", "ann", "m1")
    rows = await store.rows("SELECT exit_reached_at FROM enrollment")
    assert rows[0].exit_reached_at == NOW
    ((_, payload),) = await store.waiting("event")
    assert (payload["name"], payload["matches"]) == ("segment.left", ["exit:left-risk"])


async def test_an_erased_contact_is_no_member_and_leaves_no_row(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    await store.contact("ann", **plan("team"))
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
    assert await store.rows("SELECT 1 FROM membership") == []


async def test_who_comes_back_after_an_erasure_is_told_again(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    for minutes in (0, 5):
        now = NOW + timedelta(minutes=minutes)
        async with store.db.transaction() as tx:
            await contacts.upsert(tx, "ann", plan("team"), now=now)  # type: ignore[arg-type]
        async with store.db.transaction() as tx:
            await erasure.erase(tx, "ann", now=now)
    assert len(await store.rows("SELECT 1 FROM event WHERE name = 'segment.entered'")) == 2


async def test_nobody_looks_at_what_a_replaced_version_left(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await store.accept(Event("u1", "ann", "app.used", {}, NOW))
    async with store.db.transaction() as tx:
        await tx.execute(text("DELETE FROM segment_trigger"))
        assert await take_due(tx, NOW + 20 * DAY) == {}
        assert await overdue(tx, NOW + 20 * DAY, 10) == []


async def test_a_late_event_enters_the_window_that_it_belongs_to(store: StoreCalls) -> None:
    await live(store, "recent", {"did": "app.used", "within": "7d"})
    await store.accept(
        Event("u1", "ann", "app.used", {}, NOW - 6 * DAY), Event("u2", "bob", "app.used", {}, NOW - 8 * DAY)
    )
    assert await members(store, "recent") == ["ann"]
    await pass_time(store, NOW + DAY)
    assert await members(store, "recent") == []


async def test_a_contact_who_cannot_be_judged_is_no_member_and_counted(store: StoreCalls) -> None:
    await live(store, "big", {"did": "a", "where": "event.properties.n == 1"})
    await store.rows(
        "INSERT INTO event (event_id, contact_id, name, occurred_at) SELECT 'x' || n, 'ann', 'a', :now"
        " FROM generate_series(1, 2001) n RETURNING 1",
        now=NOW,
    )
    await store.happen("a", "ann", "e1", n=1)
    assert await members(store, "big") == []
    assert (await store.rows("SELECT reason, kind, track FROM dropped")) == [("not judged", "segment", "big")]


async def test_nothing_is_read_or_written_for_events_that_no_segment_reads(store: StoreCalls) -> None:
    await store.contact("ann")
    await publish(store, "vip", {"did": "order.paid"})
    await fill(store)
    await store.happen("page.viewed", "ann", "p1")
    assert await store.rows("SELECT 1 FROM membership") == []
    assert (await checked(store, "vip", NOW)).differences == []
