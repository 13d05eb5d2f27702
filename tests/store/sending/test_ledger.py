from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from store.engine.ids import new_id
from store.people import erasure
from store.people.consents import suppressions
from store.runs.enrollments import enrollments
from store.runs.events.events import Event, accept
from store.sending import ledger
from store.sending.messages import message_lists, messages
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls
from tracks.model.message_rules import MessageRules
from tracks.runs.run_interface import PathEntry


async def test_granted_claim_hands_over_the_address_and_is_settled_once(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    assert claim.decision == "granted"
    assert claim.run.contact is not None
    assert claim.run.contact.email == "ann@acme.test"
    await store.settle(claim, "sent", provider_id="ses-1")
    again = await store.claim(run.id, token="t2")
    assert (again.decision, again.status, again.message_id) == ("settled", "sent", claim.message_id)
    [message] = await store.rows("SELECT row_to_json(m)::text AS all FROM message m")
    assert "ann@" not in message.all


async def test_of_racing_claims_of_one_effect_one_is_granted(store: StoreCalls) -> None:
    run = await store.live()
    claims = await asyncio.gather(*(store.claim(run.id, token=f"t{i}") for i in range(10)))
    assert sorted(c.decision for c in claims) == ["granted"] + ["unknown"] * 9
    assert len({c.message_id for c in claims}) == 1


async def test_claims_of_one_contact_take_turns(store: StoreCalls) -> None:
    """A claim is committed before another claim of the same contact reads: two cannot both pass a cap."""
    await store.publish(WELCOME, WELCOME.replace("welcome", "other"))
    await store.contact()
    runs = [await store.enrolled("welcome"), await store.enrolled("other")]
    inside = 0

    async def hold(enrollment_id: str) -> None:
        nonlocal inside
        async with store.db.transaction() as tx:
            await ledger.claim(tx, enrollment_id=enrollment_id, step="hello", occurrence=1, channel="email", token="t")
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.05)
            inside -= 1

    await asyncio.gather(*(hold(run.id) for run in runs))


async def test_claim_waits_for_the_goal_that_is_being_stored_and_then_refuses(store: StoreCalls) -> None:
    run = await store.live(TRIAL)
    async with store.db.transaction() as tx:
        await accept(tx, Event("e1", "ann", "subscription.started", {"amount": 5}), now=NOW)
        await tx.execute(text("SELECT 'what was left for later goes first'"))
        racing = asyncio.create_task(store.claim(run.id))
        await asyncio.sleep(0.1)
        assert not racing.done()
    claim = await racing
    assert (claim.decision, claim.reason) == ("ended", "goal")
    assert await store.rows("SELECT 1 FROM message") == []


async def test_claim_waits_for_the_erasure_of_its_contact_and_then_refuses(store: StoreCalls) -> None:
    run = await store.live()
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "ann", now=NOW)
        racing = asyncio.create_task(store.claim(run.id))
        await asyncio.sleep(0.1)
        assert not racing.done()
    claim = await racing
    assert (claim.decision, claim.reason, claim.run.contact) == ("ended", "erased", None)


async def test_ended_left_and_stopped_runs_are_refused(store: StoreCalls) -> None:
    run = await store.live(TRIAL)
    await store.happen("account.closed")
    assert (await store.claim(run.id)).reason == "exit"
    await store.close(run.id)
    assert (await store.claim(run.id)).reason == "ended"
    second = await store.live(contact_id="bob")
    async with store.db.transaction() as tx:
        await enrollments.request_end(tx, second.id, "asked")
    assert (await store.claim(second.id)).reason == "exit"


@pytest.mark.parametrize(
    ("stored", "suppressed"),
    [("Ann@ACME.test", "ann@acme.test"), ("ann@müller.test", "ann@xn--mller-kva.test")],
)
async def test_suppressed_address_is_skipped_however_it_is_spelt(
    store: StoreCalls, stored: str, suppressed: str
) -> None:
    run = await store.live()
    await store.contact(email=stored)
    async with store.db.transaction() as tx:
        assert await suppressions.add(tx, "email", suppressed, "bounced")
    claim = await store.claim(run.id)
    assert (claim.decision, claim.status, claim.reason) == ("settled", "skipped", "suppressed: bounced")
    async with store.db.transaction() as tx:
        assert await suppressions.remove(tx, "email", stored)
    again = await store.claim(run.id, token="t2")
    assert (again.decision, again.reason) == ("settled", "suppressed: bounced")


async def test_transactional_message_passes_an_unsubscribe_but_not_a_bounce(store: StoreCalls) -> None:
    for contact_id, reason, decision in (("ann", "unsubscribed", "granted"), ("bob", "bounced", "settled")):
        run = await store.live(contact_id=contact_id)
        async with store.db.transaction() as tx:
            await suppressions.add(tx, "email", f"{contact_id}@acme.test", reason)
        assert (await store.claim(run.id, rules=MessageRules(transactional=True))).decision == decision


async def test_contact_without_an_address_is_skipped(store: StoreCalls) -> None:
    run = await store.live()
    await store.contact(phone=None)
    claim = await store.claim(run.id, channel="sms")
    assert (claim.decision, claim.status, claim.reason) == ("settled", "skipped", "no address")


async def test_released_message_may_be_claimed_again_and_checks_everything_again(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    assert (await store.release(claim)).status == "released"
    second = await store.claim(run.id, token="t2")
    assert (second.decision, second.message_id) == ("granted", claim.message_id)
    assert (await store.release(second, "t2")).status == "released"
    async with store.db.transaction() as tx:
        await enrollments.request_end(tx, run.id, "asked")
    third = await store.claim(run.id, token="t3")
    assert (third.decision, third.reason) == ("ended", "exit")


async def test_claim_stores_the_path_whatever_it_decides_and_each_entry_once(store: StoreCalls) -> None:
    run = await store.live()
    entries = [PathEntry(seq=n, step=f"s{n}", kind="wait", outcome="done", at=NOW) for n in range(3)]
    await store.claim(run.id, path=entries[:2])
    await store.claim(run.id, token="t2", path=entries)
    async with store.db.transaction() as tx:
        assert await enrollments.path(tx, run.id) == entries
        current = await enrollments.get(tx, run.id)
    assert current is not None
    assert current.step == "hello"


async def test_claim_of_an_unknown_enrollment_is_an_error(store: StoreCalls) -> None:
    for enrollment_id in (new_id(), "nonsense"):
        with pytest.raises(LookupError):
            await store.claim(enrollment_id)


async def test_messages_are_found_by_run_and_provider(store: StoreCalls) -> None:
    run = await store.live()
    claim = await store.claim(run.id)
    await store.settle(claim, "sent", provider_id="ses-1")
    async with store.db.transaction() as tx:
        found = [
            await messages.get(tx, claim.message_id),
            *(one.message for one in await message_lists.of_enrollment(tx, run.id)),
            await messages.by_provider_id(tx, "email", "ses-1"),
        ]
        assert await messages.answered(tx, ["ann"], sender="+15005550006") is None
        assert await messages.by_provider_id(tx, "sms", "ses-1") is None
        assert await messages.get(tx, "nonsense") is None
        assert await messages.known_provider_ids(tx, "email", ["ses-1", "ses-2"]) == {"ses-1"}
    assert {m.id for m in found if m} == {claim.message_id}
    assert None not in found
