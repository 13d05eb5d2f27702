"""Merges race events, enrollments, sends, erasures and each other: nothing is lost, twice or stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from store.engine.errors import BusyError
from store.people import erasure
from store.people.merging import merge
from store.published import policies
from store.runs.enrollments.enrolling import Enrolled
from store.sending.ledger import Claim
from tests.store.people.merging.merge_calls import merged, unmerged
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls
from tracks.policy.workspace_policy import parse_policy

CAPPED = "caps: [{most: 1, per: 1d}]\n"
Answer = TypeVar("Answer")


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """As an activity does: again, if contacts were merged at this moment."""
    for _ in range(20):
        try:
            return await call()
        except BusyError:
            continue
    raise AssertionError("it never came through")


async def test_events_and_enrollments_during_a_merge_are_the_survivors(store: StoreCalls) -> None:
    await store.publish(WELCOME, TRIAL)
    for turn in range(6):
        ann, bob = f"ann{turn}", f"bob{turn}"
        await store.contact(ann)
        await store.contact(bob)
        happened = [store.happen("trial.started", bob, event_id=f"{bob}-{n}", plan="x") for n in range(4)]
        done = await asyncio.gather(
            *happened,
            merged(store, ann, bob),
            store.enroll("welcome", bob),
            store.contact(bob, attributes={"seats": 3}),
            *(store.happen("trial.started", ann, event_id=f"{ann}-{n}", plan="x") for n in range(4)),
        )
        assert isinstance(done[5], Enrolled) and done[5].outcome == "created"
        for table, column in (("event", "contact_id"), ("enrollment", "contact_id"), ("contact", "id")):
            assert await store.rows(f"SELECT 1 FROM {table} WHERE {column} = :id", id=bob) == [], table
        assert len(await store.rows("SELECT 1 FROM event WHERE contact_id = :id", id=ann)) == 8
        held = await store.rows("SELECT track, key FROM enrollment WHERE contact_id = :id AND slot = ''", id=ann)
        assert len(held) == len(set(held)) == 2
        (person,) = await store.rows("SELECT attributes FROM contact WHERE id = :id", id=ann)
        assert person.attributes == {"seats": 3}


async def test_a_frequency_cap_over_both_ids_cannot_slip(store: StoreCalls) -> None:
    """Two tracks claim while the contacts are being merged: one of them may send, the other waits."""
    async with store.db.transaction() as tx:
        await policies.publish(tx, parse_policy(CAPPED), CAPPED, now=NOW)
    await store.publish(WELCOME, WELCOME.replace("track: welcome", "track: second"))
    await store.contact("ann")
    await store.contact("bob")
    runs = [await store.enrolled("welcome", "bob"), await store.enrolled("second", "ann")]

    async def claim(enrollment_id: str) -> Claim:
        return await patiently(lambda: store.claim(enrollment_id, now=NOW))

    async with store.db.transaction() as tx:
        await merge.merge(tx, "ann", "bob", by="tests", now=NOW)
        claims = [asyncio.create_task(claim(run.id)) for run in runs]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in claims)
    done = await asyncio.gather(*claims)
    assert sorted((one.decision, one.reason) for one in done) == [("deferred", "capped: all 1 per 1d"), ("granted", "")]


async def test_what_either_id_was_sent_counts_against_the_survivors_cap(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        await policies.publish(tx, parse_policy(CAPPED), CAPPED, now=NOW)
    await store.publish(WELCOME, WELCOME.replace("track: welcome", "track: second"))
    await store.contact("ann")
    await store.contact("bob")
    run = await store.enrolled("welcome", "bob")
    await store.settle(await store.claim(run.id, now=NOW), "sent", provider_id="p1")
    other = await store.enrolled("second", "ann")
    await merged(store)
    assert (await store.claim(other.id, now=NOW)).reason == "capped: all 1 per 1d"


async def test_a_send_that_waits_for_the_merge_goes_to_the_survivor(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact("ann")
    await store.contact("bob")
    run = await store.enrolled("welcome", "bob")
    async with store.db.transaction() as tx:
        await merge.merge(tx, "ann", "bob", by="tests", now=NOW)
        waiting = asyncio.create_task(patiently(lambda: store.claim(run.id, now=NOW)))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    claim = await waiting
    assert claim.decision == "granted" and claim.run.contact is not None and claim.run.contact.id == "ann"


async def test_of_merges_of_the_same_ids_at_once_one_counts(store: StoreCalls) -> None:
    for turn in range(5):
        names = [f"{name}{turn}" for name in ("ann", "bob", "cid")]
        for name in names:
            await store.contact(name)
            await store.happen("seen", name, event_id=f"e-{name}")
        ann, bob, cid = names
        done = await asyncio.gather(
            merged(store, ann, bob), merged(store, bob, ann), merged(store, bob, cid), merged(store, cid, ann)
        )
        assert sum(one.outcome == "merged" for one in done) == 2
        left = await store.rows("SELECT id FROM contact WHERE id = ANY(:ids)", ids=names)
        assert len(left) == 1
        stands = await store.rows("SELECT contact_id FROM merged_id WHERE id = ANY(:ids)", ids=names)
        assert [row.contact_id for row in stands] == [left[0].id] * 2
        owners = await store.rows("SELECT DISTINCT contact_id FROM event WHERE event_id LIKE :like", like=f"e-%{turn}")
        assert [row.contact_id for row in owners] == [left[0].id]


async def test_a_merge_racing_an_erasure_leaves_no_personal_datum(store: StoreCalls) -> None:
    async def erase(contact_id: str) -> None:
        async with store.db.transaction() as tx:
            await erasure.erase(tx, contact_id, now=NOW)

    for turn in range(6):
        ann, bob = f"ann{turn}", f"bob{turn}"
        await store.contact(ann, attributes={"name": "Secretname"})
        await store.contact(bob, attributes={"other": "Secretname"})
        await asyncio.gather(merged(store, ann, bob), erase(bob if turn % 2 else ann))
        await erase(ann)
        await erase(bob)
        for table in ("contact", "contact_merge", "merged_id", "consent", "event"):
            rows = await store.rows(f"SELECT row_to_json(t)::text AS row FROM {table} t")
            assert not any("Secretname" in row.row or "acme.test" in row.row for row in rows), table


async def test_a_merge_and_its_undoing_among_events_lose_none(store: StoreCalls) -> None:
    await store.contact("ann")
    await store.contact("bob")
    for turn in range(5):
        await asyncio.gather(
            merged(store),
            *(store.happen("seen", "bob", event_id=f"m{turn}-{n}") for n in range(5)),
        )
        await asyncio.gather(
            unmerged(store),
            *(store.happen("seen", "bob", event_id=f"u{turn}-{n}") for n in range(5)),
        )
    rows = await store.rows("SELECT contact_id FROM event")
    assert len(rows) == 50 and {row.contact_id for row in rows} <= {"ann", "bob"}
    assert sorted(row.id for row in await store.rows("SELECT id FROM contact")) == ["ann", "bob"]


async def test_an_id_that_is_reserved_and_merged_while_it_is_made_is_not_made_beside_the_survivor(
    store: StoreCalls,
) -> None:
    """As Segment's `alias` does, beside the first event of a visitor whom nobody has seen before."""
    await store.contact("ann")
    for turn in range(12):
        bob = f"bob{turn}"
        makes = [
            patiently(lambda bob=bob: store.happen("seen", bob, event_id=f"e-{bob}")),  # type: ignore[misc]
            patiently(lambda bob=bob: store.contact(bob, attributes={bob: 1})),  # type: ignore[misc]
        ]
        await asyncio.gather(merged(store, "ann", bob, reserve=True), *makes)
    assert [row.id for row in await store.rows("SELECT id FROM contact")] == ["ann"]
    assert {row.contact_id for row in await store.rows("SELECT contact_id FROM event")} == {"ann"}
    (ann,) = await store.rows("SELECT attributes FROM contact")
    assert len(ann.attributes) == 12


async def test_a_contact_made_while_its_id_was_merged_by_another_transaction_is_refused(store: StoreCalls) -> None:
    """The merge creates and deletes the id while the event waits for it; the event's own snapshot shows neither."""
    await store.contact("ann")
    async with store.db.transaction() as tx:
        await merge.merge(tx, "ann", "bob", by="tests", reserve=True, now=NOW)
        waiting = asyncio.create_task(store.happen("seen", "bob"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    with pytest.raises(BusyError):
        await waiting
    assert (await store.happen("seen", "bob")).merged_into == "ann"
