"""Links and touches of messages in the store, and the events from them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.people import erasure
from store.runs.enrollments.enrolling_by_event import NotEnrolled
from store.runs.events.events import Accepted, Event
from store.sending.feedback import engagement
from store.sending.feedback.engagement import Touch
from tests.store.store_calls import NOW, StoreCalls
from tracks.runs.bot_engagement import By

MINUTE = timedelta(minutes=1)
LISTENING = """
track: listening
entry: {event: email.clicked}
goal: {event: email.opened}
exits: [{event: sms.clicked, reason: texted}]
steps:
  - id: person
    wait_for: {event: email.clicked, within: 3d}
  - id: anybody
    wait_for: {event: email.clicked, within: 3d, by: any}
"""


async def sent(store: StoreCalls) -> str:
    run = await store.live()
    return (await store.claim(run.id, now=NOW)).message_id


async def test_a_links_number_stays_its_own_when_the_message_is_written_again(store: StoreCalls) -> None:
    message = await sent(store)
    async with store.db.transaction() as tx:
        assert await engagement.keep_links(tx, message, ["a", "b"]) == {"a": 1, "b": 2}
        assert await engagement.keep_links(tx, message, ["c", "b", "d"]) == {"a": 1, "b": 2, "c": 3, "d": 4}
        found = await engagement.find(tx, message, NOW)
        assert found is not None and found.urls == ("a", "b", "c", "d")
        assert (found.reached_at, found.pace, found.message.id) == (NOW, 1.0, message)
        assert await engagement.find(tx, "not-an-id", NOW) is None


async def test_the_providers_word_says_when_a_message_was_there(store: StoreCalls) -> None:
    message = await sent(store)
    later = NOW + timedelta(minutes=20)
    told = Event("d", "ann", "email.delivered", {"message_id": message}, later)
    await store.accept(told, Event("e", "ann", "email.delivered", {"message_id": "another"}, NOW), now=later)
    async with store.db.transaction() as tx:
        found = await engagement.find(tx, message, later)
    assert found is not None and found.reached_at == later


async def test_erasing_a_contact_forgets_where_their_links_lead(store: StoreCalls) -> None:
    message = await sent(store)
    async with store.db.transaction() as tx:
        await engagement.keep_links(tx, message, ["https://acme.test/?email=ann@acme.test"])
        await engagement.add(tx, message, "click", 1, "human", "", NOW)
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann")
        found = await engagement.find(tx, message, NOW)
    assert found is not None and found.urls == ()
    assert len(await store.rows("SELECT 1 FROM touch")) == 1  # the count stays


async def test_the_same_link_again_within_a_minute_is_one_event(store: StoreCalls) -> None:
    message = await sent(store)

    async def told(at: float, by: By = "human", link: int = 1) -> str:
        async with store.db.transaction() as tx:
            touch = await engagement.add(tx, message, "click", link, by, "", NOW + timedelta(seconds=at))
            return await engagement.decide(tx, touch, by, "", MINUTE)

    first = await told(0)
    assert [await told(20), await told(60)] == [first, first]
    assert len({first, await told(61), await told(30, "scanner"), await told(30, link=2)}) == 4


async def test_a_held_touch_is_taken_once_when_it_is_due(store: StoreCalls) -> None:
    message = await sent(store)
    async with store.db.transaction() as tx:
        held = await engagement.add(tx, message, "click", 1, "human", "", NOW, due_at=NOW + MINUTE)
        assert await engagement.due(tx, NOW) == []
        assert await engagement.due(tx, NOW + MINUTE) == [held.id]
        assert await engagement.due(tx, NOW - 60 * MINUTE) == [held.id]  # the clock that wrote it was ahead
    async with store.db.transaction() as one, store.db.transaction() as other:
        assert await engagement.take(one, held.id) == held
        assert await engagement.take(other, held.id) is None
        await engagement.decide(one, held, "scanner", "links at once", MINUTE)
    async with store.db.transaction() as tx:
        assert await engagement.take(tx, held.id) is None
        (now,) = await engagement.around(tx, held, MINUTE)
    assert now == Touch(held.id, message, "click", 1, "scanner", "links at once", NOW)


@pytest.mark.parametrize(
    ("by", "matches"),
    [
        ({}, ["step:person", "step:anybody"]),
        ({"by": "human"}, ["step:person", "step:anybody"]),
        ({"by": "scanner"}, ["step:anybody"]),
        ({"by": "prefetch"}, ["step:anybody"]),
    ],
)
async def test_a_wait_hears_of_those_it_counts(store: StoreCalls, by: dict[str, str], matches: list[str]) -> None:
    await store.live(LISTENING)
    await store.happen("email.clicked", **by)
    ((_, signal),) = await store.waiting("event")
    assert signal["matches"] == matches
    drops = await store.rows("SELECT reason, kind, track, count FROM dropped WHERE reason = 'machine'")
    entry_and_wait = [("machine", "event", "listening", 1)] * (2 if by.get("by", "human") != "human" else 0)
    assert [tuple(row) for row in drops] == entry_and_wait


async def test_a_machine_neither_converts_nor_ends_nor_enrols_anybody(store: StoreCalls) -> None:
    await store.live(LISTENING)
    for number, name in enumerate(("email.opened", "sms.clicked")):
        assert await store.happen(name, event_id=f"m{number}", by="scanner") == Accepted()
    assert await store.happen("email.clicked", "new", event_id="n", by="scanner") == Accepted(
        not_enrolled=(NotEnrolled("listening", "machine"),)
    )
    run = (await store.rows("SELECT goal_reached_at, exit_reached_at FROM enrollment"))[0]
    assert tuple(run) == (None, None) and await store.waiting("event") == []
    assert (await store.happen("email.clicked", "new", event_id="p", by="human")).enrolled == 1
    assert (await store.happen("email.opened", event_id="o")).matched == 1
