"""Segments go out as they change: at least once, in order per contact, and the receiver ends with the members."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from activities.audience.segment_webhooks import GIVE_UP, SegmentWebhooks
from activities.providers.webhooks import SignedWebhooks
from store.audience.webhooks import batches, destinations
from store.audience.webhooks.destinations import Destination
from store.people import contacts, erasure
from tests.activities.audience.audience_receiver import AudienceReceiver, receiver
from tests.store.audience.segment_calls import live, members, plan
from tests.store.store_calls import NOW, StoreCalls

TEAM = 'contact.attributes.plan == "team"'
_TURNS = count()


@pytest_asyncio.fixture
async def store(db: Any) -> StoreCalls:
    return StoreCalls(db)


@pytest_asyncio.fixture
async def there() -> AsyncIterator[AudienceReceiver]:
    async with receiver() as one:
        yield one


@pytest_asyncio.fixture
async def sender(db: Any) -> AsyncIterator[SegmentWebhooks]:
    caller = SignedWebhooks(secret="", timeout=timedelta(seconds=1))
    yield SegmentWebhooks(db, caller)
    await caller.close()


async def put(store: StoreCalls, there: AudienceReceiver, segment: str = "team", **more: Any) -> None:
    """Make the webhook `ads` of a segment; what changes is due at once."""
    wanted: dict[str, Any] = {"url": there.url, "fields": [], "batch": 100, "wait": 0.0, "paused": False, "now": NOW}
    wanted |= more
    async with store.db.transaction() as tx:
        there.secret = await destinations.put(tx, segment, "ads", **wanted) or there.secret


async def ads(store: StoreCalls, segment: str = "team") -> Destination:
    async with store.db.transaction() as tx:
        found = await destinations.get(tx, segment, "ads")
    assert found is not None
    return found


async def set_plan(store: StoreCalls, who: str, to: str, **more: Any) -> None:
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, who, {**plan(to), **more}, now=NOW)  # type: ignore[typeddict-item]


async def set_size(store: StoreCalls, who: str, size: int) -> None:
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, who, {"attributes": {"size": size}}, now=NOW)


async def send(sender: SegmentWebhooks, now: datetime = NOW, *, patience: int = 200) -> int:
    """Do all that is due at that moment; returns how many calls were made.

    A comparison waits for the transactions of the whole server, also for those of other tests.
    """
    calls = 0
    while True:
        if await sender.compare(now):
            continue
        if batch := await sender.claim(now):
            await sender.deliver(batch, now)
            calls += 1
        elif patience and await _compares(sender):
            patience -= 1
            await asyncio.sleep(0.05)
        else:
            return calls


async def _compares(sender: SegmentWebhooks) -> bool:
    async with sender._db.transaction() as tx:
        return bool((await tx.execute(text("SELECT count(*) FROM segment_webhook WHERE comparing <> ''"))).scalar_one())


async def test_a_new_webhook_is_sent_all_members_and_then_each_change(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who, its in (("ann", "team"), ("bob", "free"), ("eve", "team")):
        await set_plan(store, who, its)
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    assert there.members == ["ann", "eve"]
    assert [call["type"] for call in there.calls] == ["segment.members", "segment.complete"]
    await set_plan(store, "bob", "team")
    await set_plan(store, "ann", "free")
    await send(sender)
    assert there.members == ["bob", "eve"] == await members(store, "team")
    assert [(one["contact_id"], one["member"]) for one in there.calls[-1]["data"]["changes"]] == [
        ("bob", True),
        ("ann", False),
    ]
    shown = await ads(store)
    assert (shown.waiting, shown.delivered, shown.sends_all) == (0, 4, False)


async def test_only_the_named_fields_are_sent_and_addresses_as_hashes_if_asked(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await set_plan(store, "ann", "team", email="Ann@Acme.test", phone="+15005550009", locale="de")
    await live(store, "team", TEAM)
    await put(store, there, fields=["email_sha256", "phone_sha256", "locale", "attributes.plan", "attributes.none"])
    await send(sender)
    (change,) = there.calls[0]["data"]["changes"]
    assert change["contact"] == {
        "email_sha256": hashlib.sha256(b"ann@acme.test").hexdigest(),
        "phone_sha256": hashlib.sha256(b"+15005550009").hexdigest(),
        "locale": "de",
        "attributes.plan": "team",
        "attributes.none": None,
    }
    assert "acme" not in json.dumps(there.calls)


async def test_a_member_whose_named_field_changed_is_sent_as_changed_and_no_other(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who, its in (("ann", "team"), ("bob", "free")):
        await set_plan(store, who, its)
    await live(store, "team", TEAM)
    await put(store, there, fields=["email", "attributes.size"], changes=["email", "attributes.size"])
    await send(sender)
    there.calls.clear()
    await set_size(store, "ann", 3)
    await set_size(store, "bob", 3)  # no member
    await set_plan(store, "ann", "team", locale="de")  # not named
    await send(sender)
    await set_plan(store, "ann", "team", email="ann@acme.test")
    await send(sender)
    await set_size(store, "ann", 3)  # as it was
    assert await send(sender) == 0
    changes = [change for call in there.calls for change in call["data"]["changes"]]
    assert [(one["contact_id"], one["member"], one["changed"], one["contact"]) for one in changes] == [
        ("ann", True, True, {"email": None, "attributes.size": 3}),
        ("ann", True, True, {"email": "ann@acme.test", "attributes.size": 3}),
    ]


async def test_who_enters_and_changes_before_it_is_told_is_sent_once_as_entering(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, fields=["attributes.size"], changes=["attributes.size"])
    await send(sender)
    there.calls.clear()
    await set_plan(store, "ann", "team")
    await set_size(store, "ann", 2)
    await send(sender)
    ((change,),) = [call["data"]["changes"] for call in there.calls]
    assert (change["changed"], change["contact"]) == (False, {"attributes.size": 2})


async def test_without_a_webhook_nothing_is_written(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    await set_plan(store, "ann", "team")
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []


async def test_changes_wait_until_a_batch_is_full_or_its_time_is_over(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, batch=2, wait=30.0)
    await send(sender)
    there.calls.clear()
    await set_plan(store, "ann", "team")
    assert await send(sender, NOW + timedelta(seconds=29)) == 0
    await set_plan(store, "bob", "team")
    assert await send(sender) == 1
    await set_plan(store, "eve", "team")
    assert await send(sender) == 0
    assert await send(sender, NOW + timedelta(seconds=30)) == 1
    assert there.members == ["ann", "bob", "eve"]


async def test_who_left_before_the_webhook_was_told_of_them_is_not_made_known_to_it(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    there.calls.clear()
    await set_plan(store, "ann", "team")
    await set_plan(store, "ann", "free")
    assert await send(sender) == 0 and there.calls == []
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []


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


async def test_an_erased_contact_is_gone_from_what_waits_and_the_receiver_learns_it_by_the_id_alone(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, fields=["email"])
    await set_plan(store, "ann", "team", email="ann@acme.test")
    await send(sender)
    await set_plan(store, "bob", "team", email="bob@acme.test")
    for who in ("ann", "bob"):
        async with store.db.transaction() as tx:
            await erasure.erase(tx, who, now=NOW)
    assert [row.contact_id for row in await store.rows("SELECT contact_id FROM segment_webhook_contact")] == ["ann"]
    there.calls.clear()
    await send(sender)
    (change,) = there.calls[0]["data"]["changes"]
    assert (change["contact_id"], change["member"], change["erased"], change["contact"]) == ("ann", False, True, {})
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []


async def test_a_full_send_mends_a_receiver_that_has_lost_what_it_was_told(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who in ("ann", "bob"):
        await set_plan(store, who, "team")
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    stale = dict(there.held)
    await set_plan(store, "bob", "free")
    await set_plan(store, "eve", "team")
    await send(sender)
    there.held = stale  # from its backup: it knows nothing of Eve, and believes that Bob is a member
    async with store.db.transaction() as tx:
        assert await destinations.send_all(tx, "team", "ads")
    await send(sender)
    assert there.members == ["ann", "eve"]


async def test_another_version_sends_who_is_different_only(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who, its in (("ann", "team"), ("bob", "free"), ("eve", "gold")):
        await set_plan(store, who, its)
    await live(store, "team", 'contact.attributes.plan in ["team", "gold"]')
    await put(store, there)
    await send(sender)
    there.calls.clear()
    await live(store, "team", 'contact.attributes.plan in ["team", "free"]')
    await send(sender)
    (call,) = there.calls
    assert [(one["contact_id"], one["member"]) for one in call["data"]["changes"]] == [("bob", True), ("eve", False)]
    assert there.members == ["ann", "bob"]


async def test_a_comparison_waits_for_transactions_that_do_not_know_the_webhook_yet(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, "ann", {"attributes": {"plan": "team"}}, now=NOW)  # not committed yet
        await put(store, there)
        await send(sender, patience=0)
        assert there.calls == [] and (await ads(store)).sends_all
    await send(sender)
    assert there.members == ["ann"]


async def test_a_removed_webhook_is_called_no_more_and_its_name_is_free_at_once(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await set_plan(store, "ann", "team")
    async with store.db.transaction() as tx:
        assert await destinations.remove(tx, "team", "ads")
        assert not await destinations.remove(tx, "team", "ads")
    await set_plan(store, "bob", "team")
    assert await send(sender) == 0
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []
    assert await store.rows("SELECT 1 FROM segment_webhook") == []
    await put(store, there)
    await send(sender)
    assert there.members == ["ann", "bob"]


async def test_while_it_runs_a_change_is_sent_within_seconds(store: StoreCalls, there: AudienceReceiver) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    caller = SignedWebhooks(secret="", timeout=timedelta(seconds=1))
    async with SegmentWebhooks(store.db, caller):
        await set_plan(store, "ann", "team")
        for _ in range(100):
            if there.members == ["ann"]:
                break
            await asyncio.sleep(0.1)
    await caller.close()
    assert there.members == ["ann"]


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
        for _ in range(2):
            now += timedelta(hours=1)
            await send(sender, now)
        assert there.members == await members(store, segment)
        assert all(seqs == sorted(seqs) for seqs in there.seqs.values())
        sizes = {row.id: row.size for row in await store.rows("SELECT id, attributes -> 'size' AS size FROM contact")}
        assert [there.held[who]["contact"]["attributes.size"] for who in there.members] == [
            sizes[who] for who in there.members
        ]
        async with store.db.transaction() as tx:
            await destinations.remove(tx, segment, "ads")
        await send(sender, now)
