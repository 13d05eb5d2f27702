"""A published segment is filled in the background: exactly, with what happens meanwhile, and as a new version."""

from __future__ import annotations

import asyncio

import pytest

from store.audience.fills import segment_fills
from store.engine.errors import BusyError
from store.published import segments
from tests.store.audience.segment_calls import checked, fill, live, members, plan, publish, told
from tests.store.store_calls import NOW, StoreCalls

TEAM, FREE = 'contact.attributes.plan == "team"', 'contact.attributes.plan == "free"'


async def state(store: StoreCalls, name: str, number: int) -> segments.SegmentVersion:
    async with store.db.transaction() as tx:
        found = await segments.version(tx, name, number)
    assert found is not None
    return found


async def step(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        assert await segment_fills.step(tx, NOW) is not None


async def test_those_who_are_members_already_are_found_and_told_only_if_asked_for(store: StoreCalls) -> None:
    for who in ("ann", "bob"):
        await store.contact(who, **plan("team"))
    await live(store, "quietly", TEAM)
    await live(store, "aloud", TEAM, existing="enter")
    assert await members(store, "quietly") == await members(store, "aloud") == ["ann", "bob"]
    assert await told(store, "ann") == await told(store, "bob") == [("entered", "aloud")]


async def test_a_half_filled_segment_has_no_members_and_shows_its_progress(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_fills, "CHUNK", 2)
    for who in ("ann", "bob", "eve"):
        await store.contact(who, **plan("team"))
    await publish(store, "team", TEAM)
    await step(store)
    half = await state(store, "team", 1)
    assert (half.state, half.evaluated, half.position) == ("filling", 2, "bob")
    assert await members(store, "team") == []
    await fill(store)
    assert (await state(store, "team", 1)).state == "live"
    assert await members(store, "team") == ["ann", "bob", "eve"]


async def test_what_happens_while_it_is_filled_counts_once(store: StoreCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_fills, "CHUNK", 2)
    for who in ("ann", "bob", "eve", "zoe"):
        await store.contact(who, **plan("team"))
    await publish(store, "team", TEAM, existing="enter")
    await step(store)
    await store.contact("ann", **plan("free"))  # evaluated already
    await store.contact("zoe", **plan("free"))  # not yet
    await store.contact("abe", **plan("team"))  # new, before the position
    await fill(store)
    assert await members(store, "team") == ["abe", "bob", "eve"]
    assert [await told(store, who) for who in ("abe", "ann", "bob", "zoe")] == [
        [("entered", "team")],
        [],
        [("entered", "team")],
        [],
    ]


async def test_a_new_version_replaces_the_members_and_by_default_tells_nobody(store: StoreCalls) -> None:
    await store.contact("ann", **plan("team"))
    await store.contact("bob", **plan("free"))
    await live(store, "s", TEAM)
    await publish(store, "s", FREE)
    assert await members(store, "s") == ["ann"]  # until the new version is filled
    await fill(store)
    assert await members(store, "s") == ["bob"]
    assert await told(store, "ann") == await told(store, "bob") == []
    assert await store.rows("SELECT 1 FROM membership WHERE version = 1") == []
    assert (await state(store, "s", 1)).state == "ended"


async def test_a_new_version_tells_who_enters_and_who_leaves_if_asked_for(store: StoreCalls) -> None:
    for who, its_plan in (("ann", "team"), ("bob", "free"), ("eve", "both")):
        await store.contact(who, **plan(its_plan))
    both = 'contact.attributes.plan == "both"'
    await live(store, "s", {"any": [TEAM, both]})
    await live(store, "s", {"any": [FREE, both]}, existing="enter")
    assert await members(store, "s") == ["bob", "eve"]
    assert [await told(store, who) for who in ("ann", "bob", "eve")] == [[("left", "s")], [("entered", "s")], []]


async def test_a_version_that_matches_nobody_empties_the_segment(store: StoreCalls) -> None:
    await store.contact("ann", **plan("team"))
    await live(store, "s", TEAM)
    await live(store, "s", 'contact.attributes.plan == "nobody"')
    assert await members(store, "s") == []


async def test_the_same_segment_is_no_new_version_but_a_canceled_one_is_published_again(store: StoreCalls) -> None:
    assert (await publish(store, "s", TEAM)).created
    assert not (await publish(store, "s", TEAM)).created
    async with store.db.transaction() as tx:
        assert await segments.cancel(tx, "s", 1)
    assert (await publish(store, "s", TEAM)).version == 2
    await fill(store)
    assert [(await state(store, "s", number)).state for number in (1, 2)] == ["ended", "live"]


async def test_a_version_that_is_being_filled_is_given_up_for_a_newer_one(store: StoreCalls) -> None:
    await store.contact("ann", **plan("team"))
    await publish(store, "s", TEAM)
    await live(store, "s", FREE)
    assert (await state(store, "s", 1)).state == "ended" and await members(store, "s") == []


async def test_a_paused_filling_waits(store: StoreCalls) -> None:
    await publish(store, "s", TEAM)
    async with store.db.transaction() as tx:
        assert await segments.pause(tx, "s", 1, paused=True)
    await fill(store)
    assert (await state(store, "s", 1)).state == "filling"
    async with store.db.transaction() as tx:
        assert await segments.pause(tx, "s", 1, paused=False)
    await fill(store)
    assert (await state(store, "s", 1)).state == "live"


async def test_an_event_of_a_transaction_that_did_not_see_the_segment_counts(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        await _store_event(tx)
        publishing = asyncio.create_task(publish(store, "s", {"did": "a"}))
        await asyncio.sleep(0.2)
        assert not publishing.done()  # it waits for this transaction
    assert (await publishing).created
    await fill(store)
    assert await members(store, "s") == ["ann"]
    assert (await checked(store, "s", NOW)).differences == []


async def test_publishing_gives_up_soon_where_a_long_transaction_reads(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        await _store_event(tx)
        with pytest.raises(BusyError):
            await publish(store, "s", {"did": "a"})
    assert (await publish(store, "s", {"did": "a"})).created


async def _store_event(tx: object) -> None:
    from store.runs.events import events

    await events.accept(tx, events.Event("e1", "ann", "a"), now=NOW)  # type: ignore[arg-type]
