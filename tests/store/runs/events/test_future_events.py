"""Events of the future wait for their time, and are then accepted once, with all their effects."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from store.people import erasure
from store.people.merging import merge
from store.runs import drop_counts
from store.runs.events import future_events
from store.runs.events.events import Accepted, Event
from tests.store.audience.segment_calls import live, members
from tests.store.store_calls import NOW, TRIAL, StoreCalls

DAY = timedelta(days=1)
SOON = NOW + 2 * DAY


async def keep(store: StoreCalls, *told: Event, now: datetime = NOW) -> list[Accepted]:
    async with store.db.transaction() as tx:
        return await future_events.keep(tx, told, now=now)


async def accept_due(store: StoreCalls, now: datetime) -> list[str]:
    async with store.db.transaction() as tx:
        return await future_events.accept_due(tx, now)


def event(event_id: str = "f", contact_id: str = "ann", name: str = "app.used", at: datetime = SOON) -> Event:
    return Event(event_id, contact_id, name, {"plan": "team"}, at)


async def test_it_has_no_effect_before_its_time_and_all_effects_then(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    await store.contact("ann")
    await live(store, "users", {"did": "trial.started"})
    assert await keep(store, event(name="trial.started")) == [Accepted(waits_until=SOON)]
    assert await accept_due(store, SOON - timedelta(microseconds=1)) == []
    assert await members(store, "users") == []
    assert await accept_due(store, SOON) == ["f"]
    assert await members(store, "users") == ["ann"]
    assert [kind for kind, _ in await store.waiting()] == ["start"]
    (stored,) = await store.rows("SELECT event_id, occurred_at, received_at FROM event WHERE name = 'trial.started'")
    assert tuple(stored) == ("f", SOON, SOON)
    assert await accept_due(store, SOON + DAY) == []


async def test_the_same_id_is_a_duplicate_while_it_waits_and_afterwards(store: StoreCalls) -> None:
    assert await keep(store, event(), event()) == [Accepted(waits_until=SOON), Accepted(duplicate=True)]
    assert await keep(store, event()) == [Accepted(duplicate=True)]
    await accept_due(store, SOON)
    assert await keep(store, event()) == [Accepted(duplicate=True)]
    assert await store.accept(event(), now=SOON) == [Accepted(duplicate=True)]


async def test_an_id_that_was_accepted_while_it_waited_counts_once(store: StoreCalls) -> None:
    await keep(store, event())
    assert await store.accept(Event("f", "ann", "app.used")) == [Accepted()]
    assert await accept_due(store, SOON) == ["f"]
    assert len(await store.rows("SELECT FROM event")) == 1
    async with store.db.transaction() as tx:
        assert drop_counts.Drop("duplicate", "event", count=1) in await drop_counts.totals(tx)


async def test_several_processes_accept_each_once(store: StoreCalls) -> None:
    await store.publish("track: one\nentry: {event: app.used}\nreentry: always\nsteps:\n  - {id: a, wait: 1d}\n")
    await keep(store, *(event(f"f{n:03}", f"c{n}") for n in range(150)))
    while any(await asyncio.gather(*(accept_due(store, SOON) for _ in range(4)))):
        pass
    assert len(await store.rows("SELECT FROM event")) == 150
    assert len(await store.rows("SELECT FROM enrollment")) == 150
    assert len(await store.rows("SELECT FROM future_event")) == 0


async def test_what_is_cut_off_in_the_middle_is_done_again_from_the_beginning(store: StoreCalls) -> None:
    await keep(store, event())

    async def cut_off() -> None:
        async with store.db.transaction() as tx:
            assert await future_events.accept_due(tx, SOON) == ["f"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cut_off()
    assert await store.rows("SELECT FROM event") == []
    assert await accept_due(store, SOON) == ["f"]


async def test_an_erasure_forgets_it_and_later_ones_are_refused(store: StoreCalls) -> None:
    await store.contact("ann")
    await keep(store, event())
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann")
    assert await store.rows("SELECT FROM future_event") == []
    assert await keep(store, event("g")) == [Accepted(erased=True)]


async def test_an_erasure_at_the_same_moment_leaves_nothing_that_waits(store: StoreCalls) -> None:
    await store.contact("ann")

    async def erase() -> None:
        async with store.db.transaction() as tx:
            await erasure.erase(tx, "ann")
            await asyncio.sleep(0.1)

    erasing = asyncio.create_task(erase())
    await asyncio.sleep(0.05)
    assert await keep(store, event()) == [Accepted(erased=True)]
    await erasing
    assert await store.rows("SELECT FROM future_event") == []


async def test_it_goes_along_with_a_merge(store: StoreCalls) -> None:
    await store.contact("ann")
    await store.contact("bob", email="bob@acme.test")
    await keep(store, event(contact_id="bob"))
    async with store.db.transaction() as tx:
        assert (await merge.merge(tx, "ann", "bob", by="test")).outcome == "merged"
    assert await keep(store, event("g", "bob")) == [Accepted(waits_until=SOON, merged_into="ann")]
    assert sorted(await accept_due(store, SOON)) == ["f", "g"]
    assert {row.contact_id for row in await store.rows("SELECT contact_id FROM event")} == {"ann"}


async def test_one_that_cannot_be_accepted_waits_and_lets_the_others_pass(store: StoreCalls) -> None:
    await keep(store, event("bad"), event("good"))
    async with store.db.transaction() as tx:
        assert await future_events.next_due(tx, SOON) == "bad"
        await future_events.postpone(tx, "bad", SOON + DAY)
    assert await accept_due(store, SOON) == ["good"]
    async with store.db.transaction() as tx:
        assert await future_events.backlog(tx, SOON) == (1, SOON)
    assert await accept_due(store, SOON + DAY) == ["bad"]
