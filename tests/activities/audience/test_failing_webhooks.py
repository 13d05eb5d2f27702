"""A receiver that fails, a killed process, several workers: no change of a segment is lost, or told out of order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.audience.segment_webhooks import GIVE_UP, SegmentWebhooks
from activities.providers.webhooks import SignedWebhooks
from store.audience.webhooks import batches, destinations
from store.people import erasure
from tests.activities.audience.audience_receiver import AudienceReceiver, receiver
from tests.activities.audience.webhook_calls import TEAM, ads, put, send, set_plan, set_size
from tests.store.audience.segment_calls import live, members
from tests.store.store_calls import NOW, StoreCalls

_TURNS = count()


async def test_a_receiver_that_fails_is_tried_again_later_and_nothing_is_lost(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    there.answers = [500, 403, -1]  # the last one is applied, but the answer is lost
    await set_plan(store, "ann", "team")
    assert await send(sender) == 1
    assert await send(sender) == 0  # not yet
    shown = await ads(store)
    assert (shown.failing_since, shown.failures, shown.last_error, shown.waiting) == (NOW, 1, "webhook:500", 1)
    now = NOW
    for _ in range(3):
        now += timedelta(minutes=1)
        assert await send(sender, now) == 1
    assert there.members == ["ann"]
    assert len(set(there.ids[-4:])) == 1  # the same call, so that a receiver knows the repeat
    shown = await ads(store)
    assert (shown.failing_since, shown.failures, shown.last_error, shown.waiting) == (None, 0, "", 0)


async def test_a_receiver_that_is_gone_pauses_its_webhook_at_once_and_what_waits_is_kept(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    there.answers = [410]
    await set_plan(store, "ann", "team")
    await send(sender)
    await set_plan(store, "bob", "team")
    assert await send(sender, NOW + timedelta(days=30)) == 0
    shown = await ads(store)
    assert (shown.paused, shown.paused_at, shown.waiting, shown.oldest) == ("gone", NOW, 2, NOW)
    await put(store, there)  # resumed
    await send(sender)
    assert there.members == ["ann", "bob"]


async def test_a_webhook_that_fails_for_a_day_pauses_by_itself(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    there.answers = [500] * 9
    await set_plan(store, "ann", "team")
    await send(sender)
    await send(sender, NOW + GIVE_UP - timedelta(minutes=1))
    assert (await ads(store)).paused == ""
    await send(sender, NOW + GIVE_UP)
    assert ((shown := await ads(store)).paused, shown.failures, shown.waiting) == ("failing", 3, 1)


async def test_a_process_that_is_killed_in_between_leaves_its_batch_to_another(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    await set_plan(store, "ann", "team")
    lost = await sender.claim(NOW)
    assert lost is not None
    assert await send(sender) == 0  # the lease is held
    await set_plan(store, "ann", "free")
    later = NOW + batches.LEASE + timedelta(seconds=1)
    assert await send(sender, later) == 1
    await sender.deliver(lost, later)  # it was no more than slow: its older state comes after the newer one
    await send(sender, later)
    assert there.members == [] == await members(store, "team")
    assert (await ads(store)).waiting == 0


async def test_a_change_while_its_batch_is_on_the_way_is_sent_after_it(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    await set_plan(store, "ann", "team")
    batch = await sender.claim(NOW)
    assert batch is not None
    await set_plan(store, "ann", "free")
    await sender.deliver(batch, NOW)
    assert there.members == ["ann"] and (await ads(store)).waiting == 1
    await send(sender)
    assert there.members == []


async def test_under_several_workers_each_contact_is_told_in_order_and_a_webhook_is_called_by_one(
    store: StoreCalls, there: AudienceReceiver, db: Any
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, batch=3)
    there.slow = 0.005
    there.answers = [204, 204, 500, -1, 204]
    caller = SignedWebhooks(secret="", timeout=timedelta(seconds=1))
    workers = [SegmentWebhooks(db, caller) for _ in range(4)]
    done = asyncio.Event()

    async def work(one: SegmentWebhooks) -> None:
        clock = NOW
        while not done.is_set() or (shown := await ads(store)).waiting or shown.sends_all:
            clock += timedelta(minutes=2)
            if not await one.compare(clock) and (batch := await one.claim(clock)):
                await one.deliver(batch, clock)
            await asyncio.sleep(0.002)

    async def change(who: str) -> None:
        for number in range(9):
            await set_plan(store, who, "team" if number % 2 == 0 else "free")
            await asyncio.sleep(0.003)

    working = [asyncio.create_task(work(one)) for one in workers]
    await asyncio.gather(*(change(f"c{number}") for number in range(8)))
    done.set()
    await asyncio.gather(*working)
    await caller.close()
    assert there.members == [f"c{number}" for number in range(8)] == await members(store, "team")
    assert all(seqs == sorted(seqs) for seqs in there.seqs.values())


PEOPLE = ("ann", "bob", "eve")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), st.sampled_from(PEOPLE), st.sampled_from(["team", "free", "gold"])),
        st.tuples(st.just("size"), st.sampled_from(PEOPLE), st.integers(1, 3)),
        st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("version"), st.sampled_from(["team", "free", "gold"])),
        st.tuples(st.just("all")),
        st.tuples(st.just("fail"), st.sampled_from([500, 429, -1])),
        st.tuples(st.just("kill")),
        st.tuples(st.just("compare")),
        st.tuples(st.just("send")),
    ),
    min_size=4,
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_a_receiver_that_applies_the_batches_ends_with_exactly_the_members_and_their_fields(
    store: StoreCalls, sender: SegmentWebhooks, given_steps: list[tuple[Any, ...]]
) -> None:
    segment, now = f"team-{next(_TURNS)}", NOW
    for who in PEOPLE:  # of the example before
        async with store.db.transaction() as tx:
            await erasure.erase(tx, who, now=now)
    async with receiver() as there:
        await live(store, segment, TEAM)
        await put(store, there, segment, batch=2, fields=["attributes.size"], changes=["attributes.size"])
        for who in PEOPLE[:2]:
            await set_plan(store, who, "team")
        await send(sender, now)  # these two are known to the receiver
        for step in given_steps:
            now += timedelta(hours=1)
            match step:
                case "plan", who, to:
                    await set_plan(store, who, to)
                case "size", who, size:
                    await set_size(store, who, size)
                case "erase", who:
                    async with store.db.transaction() as tx:
                        await erasure.erase(tx, who, now=now)
                case "version", to:
                    await live(store, segment, f'contact.attributes.plan == "{to}"', now=now)
                case ("all",):
                    async with store.db.transaction() as tx:
                        await destinations.send_all(tx, segment, "ads")
                case "fail", status:
                    there.answers.append(status)
                case ("kill",):
                    await sender.claim(now)
                case ("compare",):
                    await sender.compare(now)
                case ("send",):
                    if batch := await sender.claim(now):
                        await sender.deliver(batch, now)
        there.answers.clear()
        for last in (False, True):
            now += timedelta(hours=1)
            await send(sender, now)
            for who in there.members if not last else ():
                await set_size(store, who, 4)
        assert there.members == await members(store, segment)
        assert all(seqs == sorted(seqs) for seqs in there.seqs.values())
        sizes = {row.id: row.size for row in await store.rows("SELECT id, attributes -> 'size' AS size FROM contact")}
        assert [there.held[who]["contact"]["attributes.size"] for who in there.members] == [
            sizes[who] for who in there.members
        ]
        async with store.db.transaction() as tx:
            await destinations.remove(tx, segment, "ads")
        await send(sender, now)
