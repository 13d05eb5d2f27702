"""Segments about where contacts stand change in the transaction that changes it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.audience.fills import segment_fills
from store.people import contacts, erasure
from store.people.consents import preferences, reachability, suppressions
from store.people.consents.consents import Change
from store.published import policies, segments
from store.runs import run_changes
from store.runs.enrollments.enrolling import Enrol
from store.runs.events.events import Event
from store.schema.rows import Channel
from tests.store.audience.segment_calls import checked, fill, live, members, pass_time, publish, told
from tests.store.store_calls import NOW, StoreCalls
from tracks.policy.workspace_policy import policy_from_data
from tracks.runs.run_interface import RunStatus

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TRACK = "track: trial\nentry: {event: trial.started}\nreentry: always\nsteps: [{id: wait, wait: 3d}]\n"
QUIET = {"did_not": "app.used", "within": "14d"}


async def enrol(store: StoreCalls, who: str = "ann") -> str:
    async with store.db.transaction() as tx:
        found = await run_changes.enroll(tx, Enrol("trial", who), now=NOW)
    assert found.enrollment is not None
    return found.enrollment.id


async def close(store: StoreCalls, run: str, status: RunStatus = "converted") -> None:
    async with store.db.transaction() as tx:
        await run_changes.close(tx, run, status, "goal", now=NOW + HOUR)


async def consent(store: StoreCalls, topic: str, status: str, channel: Channel = "email", who: str = "ann") -> None:
    async with store.db.transaction() as tx:
        await preferences.tell(tx, who, [Change(channel, topic, status, "test")], now=NOW)  # type: ignore[arg-type]


async def test_a_member_of_another_segment_follows_it_in_the_same_transaction(store: StoreCalls) -> None:
    await live(store, "vip", {"did": "order.paid", "times": ">= 2"})
    await live(store, "vip-team", {"all": [{"in": "vip"}, 'contact.attributes.plan == "team"']})
    await live(store, "others", {"not": {"in": "vip-team"}})
    await store.contact("ann", attributes={"plan": "team"})
    await store.happen("order.paid", "ann", "o1")
    answer = await store.happen("order.paid", "ann", "o2")
    changes = {(one.segment, one.entered) for one in answer.segments}
    assert changes == {("vip", True), ("vip-team", True), ("others", False)}
    assert (await members(store, "vip-team"), await members(store, "others")) == (["ann"], [])


async def test_what_time_does_to_the_inner_segment_has_the_same_moment_for_the_outer_one(store: StoreCalls) -> None:
    await live(store, "quiet", QUIET)
    await live(store, "quiet-payers", {"all": [{"in": "quiet"}, {"did": "order.paid"}]})
    await store.accept(Event("o1", "ann", "order.paid", {}, NOW), Event("u1", "ann", "app.used", {}, NOW))
    await pass_time(store, NOW + 20 * DAY)
    rows = await store.rows("SELECT properties ->> 'segment' AS s, occurred_at FROM event WHERE name LIKE 'segment.%'")
    assert sorted((row.s, row.occurred_at) for row in rows) == [
        ("quiet", NOW + 14 * DAY),
        ("quiet-payers", NOW + 14 * DAY),
    ]


async def test_a_new_version_of_the_inner_segment_changes_the_outer_one(store: StoreCalls) -> None:
    await live(store, "vip", {"did": "order.paid"})
    await live(store, "not-vip", {"not": {"in": "vip"}})
    await live(store, "vip-too", {"in": "vip"})
    await store.happen("order.paid", "ann", "o1")
    await store.happen("trial.started", "bob", "t1")
    await publish(store, "vip", {"did": "trial.started"})
    while not await store.rows("SELECT 1 FROM segment_revisit"):
        async with store.db.transaction() as tx:
            await segment_fills.step(tx, NOW)
    assert (await checked(store, "not-vip", NOW)).late == 2
    await fill(store)
    assert (await members(store, "vip-too"), await members(store, "not-vip")) == (["bob"], ["ann"])
    changes = {("entered", "vip"), ("entered", "vip-too"), ("left", "vip-too"), ("entered", "not-vip")}
    assert set(await told(store, "ann")) == changes
    assert (await checked(store, "not-vip", NOW)).differences == []


async def test_a_segment_is_filled_after_those_it_is_about_and_tells_no_first_member(store: StoreCalls) -> None:
    await store.happen("order.paid", "ann", "o1")
    await publish(store, "outer", {"in": "inner"})
    await publish(store, "inner", {"did": "order.paid"})
    await fill(store)
    assert await members(store, "outer") == ["ann"] and await told(store) == []


async def test_an_inner_version_that_is_cancelled_holds_up_nobody(store: StoreCalls) -> None:
    await store.happen("order.paid", "ann", "o1")
    await publish(store, "inner", {"did": "order.paid"})
    await publish(store, "outer", {"not": {"in": "inner"}})
    async with store.db.transaction() as tx:
        assert await segments.cancel(tx, "inner", 1)
    await fill(store)
    assert await members(store, "outer") == ["ann"]


async def test_a_run_moves_the_segments_that_name_its_track_when_it_begins_and_ends(store: StoreCalls) -> None:
    await store.publish(TRACK)
    await store.contact("ann")
    await live(store, "on-it", {"on": "trial"})
    await live(store, "won", {"converted": "trial", "within": "7d"})
    run = await enrol(store)
    assert await members(store, "on-it") == ["ann"]
    await close(store, run)
    assert (await members(store, "on-it"), await members(store, "won")) == ([], ["ann"])
    await pass_time(store, NOW + HOUR + 7 * DAY)
    assert await members(store, "won") == []
    changes = [("entered", "on-it"), ("left", "on-it"), ("entered", "won"), ("left", "won")]
    assert sorted(await told(store)) == sorted(changes)


async def test_an_event_that_begins_a_run_moves_segments_and_what_they_begin(store: StoreCalls) -> None:
    await store.publish(TRACK, "track: second\nentry: {segment: on-it}\nsteps: [{id: wait, wait: 3d}]\n")
    await live(store, "on-it", {"on": "trial"})
    await live(store, "on-both", {"all": [{"on": "second"}, {"on": "trial"}]})
    answer = await store.happen("trial.started", "ann")
    assert (answer.enrolled, [one.segment for one in answer.segments]) == (1, ["on-it"])
    assert await members(store, "on-both") == ["ann"]


async def test_a_run_whose_track_no_segment_names_is_closed_by_one_statement(store: StoreCalls) -> None:
    run = (await store.live(TRACK)).id
    await live(store, "on-it", {"on": "another"})
    assert await store.close(run, unless_named=True)
    await live(store, "on-trial", {"on": "trial"})
    run = await enrol(store)
    assert not await store.close(run, unless_named=True)
    await close(store, run)
    assert await members(store, "on-trial") == []


async def test_runs_and_events_of_many_contacts_at_once_do_not_block_each_other(store: StoreCalls) -> None:
    await store.publish(TRACK)
    await live(store, "on-it", {"all": [{"on": "trial"}, {"did": "app.used"}]})
    who = [f"c{number}" for number in range(12)]
    for one in who:
        await store.contact(one)

    async def use(round_: int) -> None:
        names = ("app.used", "trial.started")
        await store.accept(*(Event(f"{one}-{round_}-{n}", one, n) for one in reversed(who) for n in names))

    async def begin() -> None:
        async with store.db.transaction() as tx:
            await run_changes.enroll_many(tx, [Enrol("trial", one) for one in who], now=NOW)

    async def end() -> None:
        for row in await store.rows("SELECT id::text FROM enrollment WHERE ended_at IS NULL"):
            await close(store, row.id)

    for round_ in range(5):
        await asyncio.gather(use(round_), begin(), end(), use(round_ + 100), begin(), end())
    found = await checked(store, "on-it", NOW + HOUR)
    assert found.differences == []


async def test_a_consent_counts_until_it_or_its_whole_channel_is_withdrawn(store: StoreCalls) -> None:
    await store.contact("ann")
    await live(store, "readers", {"consents": "news"})
    await consent(store, "news", "granted")
    assert await members(store, "readers") == ["ann"]
    await consent(store, "", "withdrawn")
    assert await members(store, "readers") == []
    await consent(store, "news", "granted", "sms")
    assert await members(store, "readers") == ["ann"]
    assert await told(store) == [("entered", "readers"), ("left", "readers"), ("entered", "readers")]


async def test_a_suppression_concerns_all_who_have_the_address(store: StoreCalls) -> None:
    await live(store, "by-mail", {"reachable": "email"})
    for who in ("ann", "bob", "eve"):
        await store.contact(who, email="Info@Acme.test" if who != "eve" else "eve@acme.test")
    async with store.db.transaction() as tx:
        held = await reachability.hold(tx, addresses=[("email", "info@acme.test")])
        await suppressions.add(tx, "email", "info@acme.test", "bounced")
        await reachability.tell(tx, held, now=NOW)
    assert await members(store, "by-mail") == ["eve"]
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, "bob", {"email": "bob@acme.test"}, now=NOW)
        await erasure.erase(tx, "eve", now=NOW)
    assert await members(store, "by-mail") == ["bob"]


async def test_an_erasure_takes_its_address_from_others_too(store: StoreCalls) -> None:
    await live(store, "by-mail", {"reachable": "email"})
    for who in ("ann", "bob"):
        await store.contact(who, email="info@acme.test")
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
    assert await members(store, "by-mail") == []


async def test_an_address_known_by_its_hash_is_found_by_its_messages(store: StoreCalls) -> None:
    run = (await store.live()).id
    message = await store.message(await store.claim(run))
    await store.contact("bob", email="ann@acme.test")  # never had a message
    assert message.address_hash is not None
    async with store.db.transaction() as tx:
        assert await reachability.hold(tx, hashes=[message.address_hash]) == ()
    await live(store, "by-mail", {"reachable": "email"})
    async with store.db.transaction() as tx:
        assert await reachability.hold(tx, hashes=[message.address_hash]) == ["ann", "bob"]


async def test_a_new_policy_changes_who_can_be_reached(store: StoreCalls) -> None:
    await live(store, "by-text", {"reachable": "sms"})
    await store.contact("ann")
    before = await members(store, "by-text")
    rules = {"channels": {"sms": {"opt_in": "implied" if before == [] else "explicit"}}}
    async with store.db.transaction() as tx:
        await policies.publish(tx, policy_from_data(rules), "")
        await segments.revisit(tx, "reach\n", NOW)
    assert (await checked(store, "by-text", NOW)).late == 1
    await fill(store)
    assert await members(store, "by-text") == ([] if before else ["ann"])


async def test_who_has_entered_stays_and_who_came_back_was_never_gone(store: StoreCalls) -> None:
    await live(store, "busy", {"did": "app.used", "within": "1h"}, min_stay="1d")
    await store.accept(Event("u1", "ann", "app.used", {}, NOW))
    await pass_time(store, NOW + 5 * HOUR)
    await store.accept(Event("u2", "ann", "app.used", {}, NOW + 23.5 * HOUR), now=NOW + 23.5 * HOUR)
    await pass_time(store, NOW + 24.2 * HOUR)
    assert await members(store, "busy") == ["ann"] and await told(store) == [("entered", "busy")]
    assert (await checked(store, "busy", NOW + 24.2 * HOUR)).differences == []
    await pass_time(store, NOW + 30 * HOUR)
    rows = await store.rows("SELECT occurred_at FROM event WHERE name = 'segment.left'")
    assert [row.occurred_at for row in rows] == [NOW + 24.5 * HOUR]


async def test_a_short_visit_is_told_as_over_when_the_stay_is(store: StoreCalls) -> None:
    await live(store, "team", 'contact.attributes.plan == "team"', min_stay="1d")
    for number in range(5):
        plan = "team" if number % 2 == 0 else "free"
        async with store.db.transaction() as tx:
            await contacts.upsert(tx, "ann", {"attributes": {"plan": plan}}, now=NOW + number * HOUR)
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, "ann", {"attributes": {"plan": "free"}}, now=NOW + 6 * HOUR)
    assert await told(store) == [("entered", "team")]
    await pass_time(store, NOW + 2 * DAY)
    rows = await store.rows("SELECT name, occurred_at FROM event WHERE name LIKE 'segment.%' ORDER BY occurred_at")
    assert [(row.name, row.occurred_at) for row in rows] == [("segment.entered", NOW), ("segment.left", NOW + DAY)]


async def test_an_event_of_the_future_waits_for_its_time(store: StoreCalls) -> None:
    await live(store, "soon", {"did": "trial.ending", "within": "2d"})
    await store.accept(Event("f1", "ann", "trial.ending", {}, NOW + DAY))
    assert await members(store, "soon") == []
    await pass_time(store, NOW + 10 * DAY)
    rows = await store.rows("SELECT name, occurred_at FROM event WHERE name LIKE 'segment.%' ORDER BY occurred_at")
    assert [(row.name, row.occurred_at) for row in rows] == [
        ("segment.entered", NOW + DAY),
        ("segment.left", NOW + 3 * DAY),
    ]


async def test_a_segment_that_cannot_be_judged_takes_no_other_with_it(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.audience.facts.MAX_EVENTS", 2)
    await live(store, "dear", {"did": "order.paid", "where": "event.properties.total > 5"})
    await live(store, "buyer", {"did": "order.paid"})
    await live(store, "not-dear", {"not": {"in": "dear"}})
    for number in range(4):
        await store.happen("order.paid", "ann", f"o{number}", total=9)
    assert [await members(store, name) for name in ("dear", "buyer", "not-dear")] == [[], ["ann"], ["ann"]]
    for name in ("dear", "buyer", "not-dear"):
        assert (await checked(store, name, NOW)).differences == []
