from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.runs.enrollments.enrolling import Enrol, enroll_many
from tests.store.store_calls import NOW, WELCOME, StoreCalls

STEPS = """
steps:
  - id: pause
    wait: 1d
"""
TRACKS = {
    "never": f"track: never\nreentry: never\n{STEPS}",
    "always": f"track: always\nreentry: always\n{STEPS}",
    "after": f"track: after\nreentry: {{after: 10d}}\n{STEPS}",
    "per": f"track: per\nreentry: {{per: cart_id}}\n{STEPS}",
}


async def test_new_enrollment_starts_through_the_outbox(store: StoreCalls) -> None:
    run = await store.live(properties={"cta": "x"}, pace=86400.0)
    assert (run.track, run.version, run.status, run.workflow_id) == ("welcome", 1, "active", "nurture/welcome/ann")
    assert run.clock.at(NOW + timedelta(seconds=1)) == NOW + timedelta(days=1)
    assert await store.waiting() == [("start", {})]


async def test_racing_wishes_make_one_enrollment(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact()
    results = await asyncio.gather(*(store.enroll() for _ in range(12)))
    assert sorted(r.outcome for r in results) == ["created"] + ["existing"] * 11
    assert len({r.enrollment.id for r in results if r.enrollment}) == 1
    assert len(await store.waiting("start")) == 1


@pytest.mark.parametrize("rule", ["always", "after"])
async def test_racing_wishes_to_enter_again_make_one_enrollment(store: StoreCalls, rule: str) -> None:
    first = await store.live(TRACKS[rule])
    await store.close(first.id)
    later = NOW + timedelta(days=11)
    results = await asyncio.gather(*(store.enroll(rule, now=later) for _ in range(12)))
    assert sorted(r.outcome for r in results) == ["created"] + ["existing"] * 11


async def test_wish_racing_the_end_of_the_run_is_created_or_existing_never_refused(store: StoreCalls) -> None:
    run = await store.live(TRACKS["always"])
    for _ in range(20):
        result, _ = await asyncio.gather(store.enroll("always"), store.close(run.id))
        if result.outcome == "existing":
            result = await store.enroll("always")
        assert result.outcome == "created" and result.enrollment
        run = result.enrollment


async def test_what_an_old_run_was_not_told_never_reaches_the_new_one(store: StoreCalls) -> None:
    old = await store.live(TRACKS["always"])
    await store.close(old.id)
    await store.enrolled("always")
    left = await store.rows("SELECT enrollment_id, dropped_reason FROM outbox ORDER BY id")
    assert [row.dropped_reason for row in left] == ["late", None]


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (Enrol("nowhere", "ann"), "unknown_track"),
        (Enrol("never", "nobody"), "unknown_contact"),
        (Enrol("never", "ann", key="k"), "key_unexpected"),
        (Enrol("per", "ann"), "key_required"),
        (Enrol("per", "ann", properties={"cart_id": ["x"]}), "key_refused"),
    ],
)
async def test_wish_that_cannot_be_is_refused_by_name(store: StoreCalls, wish: Enrol, refusal: str) -> None:
    await store.publish(*TRACKS.values())
    await store.contact()
    async with store.db.transaction() as tx:
        [result] = await enroll_many(tx, [wish], now=NOW)
    assert (result.outcome, result.refusal) == ("refused", refusal)


async def test_thousand_contacts_in_one_batch_answer_in_order(store: StoreCalls) -> None:
    await store.publish(*TRACKS.values())
    await store.rows("INSERT INTO contact (id) SELECT 'c' || g FROM generate_series(0, 499) g RETURNING id")
    wishes = [Enrol("never", f"c{i % 500}") for i in range(999)] + [Enrol("never", "nobody")]
    async with store.db.transaction() as tx:
        results = await enroll_many(tx, wishes, now=NOW)
    assert [r.outcome for r in results] == ["created"] * 500 + ["existing"] * 499 + ["refused"]
    for wish, result in zip(wishes, results, strict=True):
        assert result.enrollment is None or result.enrollment.contact_id == wish.contact_id


async def test_racing_batches_in_opposite_orders_neither_deadlock_nor_double(store: StoreCalls) -> None:
    """A third enrolment in the middle delays both until each has done its half."""
    await store.publish(*TRACKS.values())
    await store.rows("INSERT INTO contact (id) SELECT 'c' || g FROM generate_series(10, 30) g RETURNING id")
    wishes = [Enrol("always", f"c{i}") for i in range(10, 31)]

    async def batch(order: list[Enrol]) -> list[str]:
        async with store.db.transaction() as tx:
            return [r.outcome for r in await enroll_many(tx, order, now=NOW)]

    async with store.db.transaction() as tx:
        await enroll_many(tx, [Enrol("always", "c20")], now=NOW)
        racing = asyncio.gather(batch(wishes), batch(wishes[::-1]))
        await asyncio.sleep(0.2)
        await tx.rollback()
    outcomes = await racing
    assert sorted(o for each in outcomes for o in each) == ["created"] * 21 + ["existing"] * 21


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    rule=st.sampled_from(sorted(TRACKS)),
    moves=st.lists(
        st.tuples(st.sampled_from(["enroll", "enroll", "close"]), st.sampled_from(["a", "b"]), st.integers(0, 9)),
        max_size=14,
    ),
)
async def test_reentry_rules_behave_as_their_words_say(
    store: StoreCalls, rule: str, moves: list[tuple[str, str, int]]
) -> None:
    """Compare with a model of one line per rule: who is live, and when the last run ended."""
    await store.publish(*TRACKS.values())
    contact = new_id()
    await store.contact(contact)
    now = NOW
    live: dict[str, str] = {}
    left: dict[str, datetime] = {}
    for move, cart, days in moves:
        now += timedelta(days=days)
        spot = cart if rule == "per" else ""
        if move == "close":
            if spot in live:
                await store.close(live.pop(spot), now=now)
                left[spot] = now
            continue
        result = await store.enroll(rule, contact, properties={"cart_id": cart}, now=now)
        gone = left.get(spot)
        may = gone is None or rule == "always" or (rule == "after" and now - gone >= timedelta(days=10))
        expected = "existing" if spot in live else "created" if may else "refused"
        assert (result.outcome, result.refusal) == (expected, "reentry" if expected == "refused" else None)
        assert result.enrollment is not None
        if expected == "created":
            live[spot] = result.enrollment.id
        elif expected == "existing":
            assert result.enrollment.id == live[spot]
