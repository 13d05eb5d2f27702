"""When a message has to wait: pauses, windows, quiet hours, caps, priorities, breakers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta

from store.people import contacts
from store.sending.policy import breakers
from tests.store.sending.claims import MANY, claim, publish, several
from tests.store.store_calls import NOW, StoreCalls
from tracks.model.sending import Window


class TestTurns:
    async def test_a_pause_defers_as_long_as_the_message_may_be_held(self, store: StoreCalls) -> None:
        await store.publish(MANY)
        await store.contact()
        await store.rows(f"UPDATE contact SET paused_until = '{NOW + timedelta(days=5)}' RETURNING 1")
        patient, hasty = await several(store, 2)
        held = await claim(store, patient)
        assert (held.reason, held.until) == ("paused", NOW + timedelta(days=5))
        assert (await claim(store, hasty, hold=timedelta(days=1))).reason == "expired: paused"

    async def test_a_window_is_in_the_contacts_zone(self, store: StoreCalls) -> None:
        run = await store.live()
        await store.contact(timezone="America/New_York")  # NOW is 04:00 on a Monday there
        window = Window(from_=time(9), to=time(17), weekdays=("tue", "wed"))
        held = await claim(store, run, window=window)
        assert (held.reason, held.until) == ("window", datetime(2026, 3, 3, 14, tzinfo=UTC))

    async def test_a_window_that_lies_in_the_quiet_hours_is_said_and_skipped(self, store: StoreCalls) -> None:
        await publish(store, "channels: {email: {quiet_hours: {from: '08:00', to: '20:00'}}}")
        run = await store.live()
        judged = await claim(store, run, window=Window(from_=time(9), to=time(17)))
        assert judged.reason == "quiet hours: they leave nothing of its window"

    async def test_a_paced_run_keeps_hours_and_caps_on_its_own_clock(self, store: StoreCalls) -> None:
        await publish(
            store,
            "channels: {email: {quiet_hours: {from: '08:00', to: '10:00'}}}\ncaps: [{most: 1, per: 1d}]",
        )
        await store.publish(MANY)
        await store.contact()
        first, second = await several(store, 2, pace=86_400)
        held = await claim(store, first)
        assert held.until is not None
        assert abs(held.until - NOW - timedelta(hours=1) / 86_400) < timedelta(milliseconds=1)
        assert (await claim(store, first, held.until)).decision == "granted"
        capped = await claim(store, second, held.until)
        assert (capped.reason, capped.until) == ("capped: all 1 per 1d", held.until + timedelta(seconds=1))
        real = await store.enrolled("many", key="real", properties={"n": "real"})
        assert (await claim(store, real, NOW + timedelta(hours=1))).decision == "granted"

    async def test_a_run_whose_clock_jumps_is_judged_and_counted_by_the_moment_at_which_its_step_was_due(
        self, store: StoreCalls
    ) -> None:
        """A pause is in real time, not on the run's clock."""
        await publish(
            store,
            "channels: {email: {quiet_hours: {from: '10:00', to: '08:00'}}}\ncaps: [{most: 1, per: 1d}]",
        )
        await store.publish(MANY)
        await store.contact()
        first, second, third = await several(store, 3, pace=86_400)
        late = timedelta(seconds=0.6)
        assert (await claim(store, first, NOW + late, due=NOW)).decision == "granted"
        capped = await claim(store, second, NOW + late, due=NOW)
        then = NOW + timedelta(seconds=1)
        assert (capped.reason, capped.until) == ("capped: all 1 per 1d", then)
        assert (await claim(store, second, then + late, due=then)).decision == "granted"
        async with store.db.transaction() as tx:
            await contacts.pause(tx, "ann", NOW + timedelta(seconds=2.5))
        paused = {"due": NOW + timedelta(seconds=2), "hold": timedelta(days=30)}
        assert (await claim(store, third, NOW + timedelta(seconds=2.4), **paused)).reason == "paused"
        assert (await claim(store, third, NOW + timedelta(seconds=2.6), **paused)).decision == "granted"

    async def test_racing_tracks_cannot_both_slip_under_a_cap(self, store: StoreCalls) -> None:
        await publish(store, "caps: [{most: 2, per: 7d}]")
        await store.publish(MANY)
        await store.contact("ann", email="both@acme.test")
        await store.contact("bob", email="both@acme.test")
        runs = [*await several(store, 5, "ann"), *await several(store, 5, "bob")]
        claims = await asyncio.gather(*(claim(store, run) for run in runs))
        assert sum(c.decision == "granted" for c in claims) == 2
        assert all(c.decision == "granted" or c.until or c.reason == "duplicate address" for c in claims)

    async def test_what_waits_with_a_higher_priority_goes_first(self, store: StoreCalls) -> None:
        await publish(store, "caps: [{most: 1, per: 1d}]")
        await store.publish(MANY)
        await store.contact()
        first, urgent, idle = await several(store, 3)
        await claim(store, first)
        waiting = await claim(store, urgent, NOW + timedelta(hours=1), priority=9)
        assert waiting.until == NOW + timedelta(days=1)
        yields = await claim(store, idle, NOW + timedelta(days=1), priority=1)
        assert (yields.decision, yields.reason) == ("deferred", "capped: all 1 per 1d")
        assert (await claim(store, urgent, waiting.until, priority=9)).decision == "granted"
        await store.close(urgent.id)
        assert yields.until is not None
        assert yields.until > NOW + timedelta(days=1)
        assert (await claim(store, idle, yields.until + timedelta(hours=1), priority=1)).decision == "granted"

    async def test_who_waits_in_vain_holds_nobody_up(self, store: StoreCalls) -> None:
        await publish(store, "caps: [{most: 1, per: 1d}]")
        await store.publish(MANY)
        await store.contact()
        first, urgent, idle = await several(store, 3)
        await claim(store, first)
        waiting = await claim(store, urgent, NOW + timedelta(hours=1), priority=9)
        await store.close(urgent.id)
        assert waiting.until is not None
        assert (await claim(store, idle, waiting.until, priority=1)).decision == "granted"


class TestBreakers:
    async def test_nobody_is_lost_to_a_breaker_however_long_it_is_open(self, store: StoreCalls) -> None:
        await publish(store, "channels: {email: {quiet_hours: {from: '20:00', to: '08:00'}}}")
        run = await store.live()
        night = NOW.replace(hour=21)
        put_off = await claim(store, run, night)
        assert put_off.reason == "quiet hours"
        async with store.db.transaction() as tx:
            await breakers.trip(tx, "track:welcome", "operator", "a wrong price", now=NOW)
        assert put_off.until is not None
        held = await claim(store, run, put_off.until)
        assert (held.decision, held.reason, held.why) == ("deferred", "breaker: track:welcome", "a wrong price")
        async with store.db.transaction() as tx:
            await breakers.resume(tx, "track:welcome", per_second=10, now=NOW + timedelta(days=20))
        again = await claim(store, run, night + timedelta(days=20))
        assert (again.decision, again.reason) == ("deferred", "quiet hours")
        assert again.until is not None
        assert (await claim(store, run, again.until)).decision == "granted"

    async def test_a_transactional_message_passes(self, store: StoreCalls) -> None:
        run = await store.live()
        async with store.db.transaction() as tx:
            await breakers.trip(tx, "account:email", "operator", "maintenance", now=NOW)
        assert (await claim(store, run, transactional=True)).decision == "granted"
