from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.operations import doctor
from store.runs.enrollments import enrollments
from store.sending import ledger, send_outcomes
from store.sending.ledger import Claim
from tests.store.store_calls import NOW, StoreCalls
from tracks.runs.run_interface import PathEntry, RunStatus

CALLBACKS = ("accepted", "delayed", "delivered", "bounced", "complained")


async def test_only_the_holder_of_the_claim_can_say_that_it_failed(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    await store.release(claim)
    await store.claim(run.id, token="t2")
    for stale in (
        await store.settle(claim, "failed"),
        await store.settle(claim, "unknown"),
        await store.release(claim),
    ):
        assert (stale.status, stale.token) == ("sending", "t2")
    assert (await store.settle(claim, "sent", provider_id="late")).status == "sent"


async def test_killed_attempt_leaves_an_unknown_that_policy_settles(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    assert (await store.claim(run.id, token="t2")).decision == "unknown"
    async with store.db.transaction() as tx:
        later = claim.run.enrollment.created_at + timedelta(days=9999)
        _, [unsettled] = await doctor.unsettled(tx, sending=later, unknown=later, gone=(), limit=10)
    assert unsettled.id == claim.message_id
    assert (await store.resolve(claim, "resend")).status == "released"
    assert (await store.claim(run.id, token="t3")).decision == "granted"
    assert (await store.claim(run.id, token="t4")).decision == "unknown"
    assumed = await store.resolve(claim, "assume_sent")
    assert (assumed.status, assumed.reason) == ("sent", "assumed")
    assert (await store.resolve(claim, "skip")).status == "sent"
    again = await store.claim(run.id, token="t5")
    assert (again.decision, again.status, again.reason) == ("settled", "sent", "assumed")


@pytest.mark.parametrize(
    ("status", "why"), [("converted", "goal"), ("exited", "exit"), ("completed", "ended")], ids=lambda value: str(value)
)
async def test_what_waited_for_a_run_that_has_ended_is_skipped_and_says_why(
    store: StoreCalls, status: RunStatus, why: str
) -> None:
    """Nobody claims it again: it would stay `released` or `deferred` for ever."""
    run = await store.live()
    released = await store.claim(run.id, step="one")
    sent = await store.claim(run.id, step="two")
    underway = await store.claim(run.id, step="three")
    await store.release(released, reason="ses:no-connection")
    await store.settle(sent, "sent")
    deferred = await store.hold_back(run.id, step="four")
    assert deferred.decision == "deferred"
    await store.close(run.id, status)
    for claim in (released, deferred):
        left = await store.message(claim)
        assert (left.status, left.reason, left.settled_at, left.due_at) == ("skipped", why, NOW, None)
    assert (await store.message(sent)).status == "sent"
    assert (await store.message(underway)).status == "sending"


async def test_what_its_step_had_given_up_stays_failed_with_its_reason(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    await store.release(claim, reason="ses:no-connection")
    given_up = PathEntry(seq=0, step="hello", kind="email", outcome="failed", at=NOW)
    await store.close(run.id, "converted", path=[given_up])
    left = await store.message(claim)
    assert (left.status, left.reason) == ("failed", "ses:no-connection")


async def test_what_comes_back_after_the_run_has_ended_is_skipped(store: StoreCalls) -> None:
    run = await store.live()
    late = await store.claim(run.id, step="one")
    doubtful = await store.claim(run.id, step="two")
    await store.settle(doubtful, "unknown")
    await store.close(run.id, "converted")
    for message in (await store.release(late, reason="ses:no-connection"), await store.resolve(doubtful, "resend")):
        assert (message.status, message.reason) == ("skipped", "goal")
    assert (await store.callback(late, "delivered")).status == "sent"


async def test_closing_settles_what_was_given_back_or_put_off_while_it_waited(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id, step="one")
    await store.hold_back(run.id, step="none")
    async with store.db.transaction() as tx:
        await send_outcomes.release(tx, claim.message_id, token="t1")
        put_off = await ledger.claim(tx, enrollment_id=run.id, step="two", occurrence=1, channel="email", token="t")
        assert put_off.decision == "deferred"
        closing = asyncio.create_task(store.close(run.id))
        await asyncio.sleep(0.1)
        assert not closing.done()
    assert await closing
    assert [(await store.message(one)).status for one in (claim, put_off)] == ["skipped", "skipped"]


async def test_giving_back_waits_for_the_closing_of_its_run(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    async with store.db.transaction() as tx:
        await enrollments.close(tx, run.id, "converted", "goal")
        release = asyncio.create_task(store.release(claim))
        await asyncio.sleep(0.1)
        assert not release.done()
    assert (await release).reason == "goal"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    outcome=st.sampled_from(["sent", "failed", "unknown", "released", None]),
    reported=st.lists(st.sampled_from(CALLBACKS), min_size=1, max_size=3, unique=True),
    data=st.data(),
)
async def test_settle_and_callbacks_end_the_same_in_any_order(
    store: StoreCalls, outcome: str | None, reported: Sequence[str], data: st.DataObject
) -> None:
    """One message with the same reports in two orders."""
    news = [*reported, *([f"settle {outcome}"] if outcome else [])]
    orders = list(itertools.permutations(news))
    ends = []
    for order in (orders[0], data.draw(st.sampled_from(orders))):
        contact_id = new_id()
        run = await store.live(contact_id=contact_id)
        claim = await store.claim(run.id)
        for item in order:
            if item == "settle released":
                await store.release(claim)
            elif item.startswith("settle"):
                provider = {"provider_id": "p"} if outcome == "sent" else {"reason": "why"}
                await store.settle(claim, item.split()[1], **provider)
            else:
                await store.callback(claim, item, provider_id="p", reason=item)
        message = await store.message(claim)
        ends.append((message.status, message.reason, message.provider_id, message.delivery, message.delivery_reason))
    worst = max(reported, key=CALLBACKS.index)
    assert ends == [("sent", "", "p", worst, worst)] * 2


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    moves=st.lists(
        st.sampled_from(
            ["claim", "claim", "settle sent", "settle failed", "settle unknown", "release", "resend", "delivered"]
        ),
        max_size=14,
    )
)
async def test_provider_is_asked_again_only_after_somebody_said_it_was_not_sent(
    store: StoreCalls, moves: list[str]
) -> None:
    """Every grant may send a message: the first one, and one after each release or resend by decision."""
    run = await store.live(contact_id=new_id())
    may_go = True
    claim: Claim | None = None
    holder = ""
    for number, move in enumerate(moves):
        if move == "claim":
            asked = await store.claim(run.id, token=str(number))
            assert (asked.decision == "granted") == may_go
            if asked.decision == "granted":
                claim, holder, may_go = asked, str(number), False
            continue
        if claim is None:
            continue
        match move.split():
            case ["release"]:
                message = await store.release(claim, holder)
            case ["resend"]:
                message = await store.resolve(claim, "resend")
            case ["delivered"]:
                message = await store.callback(claim, "delivered")
            case [_, outcome]:
                message = await store.settle(claim, outcome, holder)
        may_go = message.status == "released"
