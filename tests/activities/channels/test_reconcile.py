"""A message with an unknown outcome: callbacks and lists reveal the outcome; the policy settles it only at the end."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from activities.contract import ERROR_THROTTLED, ERROR_UNAVAILABLE, SendResult
from store.sending import settling
from tests.activities.world import World


class TestEmail:
    async def test_accepted_then_dropped_is_found_by_its_callback_and_is_one_message(self, world: World) -> None:
        world.outside.fault("ses", "drop_after")
        unknown = await world.send("hello")
        assert unknown.outcome == "unknown"
        assert (await world.reconcile(unknown)).outcome == "unknown"
        (mail,) = world.outside.accepted(world.email)
        async with world.db.transaction() as tx:  # what SES's signed event has the API write
            tag = mail["tags"]["perennial-message"]
            await settling.record_callbacks(tx, [settling.Callback(tag, "accepted", mail["id"])])
        assert (await world.reconcile(unknown)).outcome == "sent"
        assert (await world.send("hello", attempt=2)).outcome == "sent"
        assert len(world.outside.accepted(world.email)) == 1

    async def test_assumed_sent_stays_sent(self, world: World) -> None:
        unknown = await self._unknown(world)
        settled = await world.reconcile(unknown, "assume_sent")
        assert (settled.outcome, settled.reason) == ("sent", "assumed")
        assert (await world.send("hello")).outcome == "sent"
        assert world.outside.accepted(world.email) == []

    async def test_resend_makes_it_ready_to_be_claimed_again(self, world: World) -> None:
        unknown = await self._unknown(world)
        deferred = await world.reconcile(unknown, "resend")
        assert deferred.outcome == "deferred" and deferred.until is not None
        sent = await world.send("hello")
        assert (sent.outcome, sent.message_id) == ("sent", unknown.message_id)
        assert len(world.outside.accepted(world.email)) == 1

    async def test_an_operator_may_skip_it(self, world: World) -> None:
        unknown = await self._unknown(world)
        assert (await world.reconcile(unknown, "skip")).outcome == "skipped"
        assert (await world.send("hello")).outcome == "skipped"

    async def test_evidence_beats_the_policy(self, world: World) -> None:
        unknown = await self._unknown(world)
        async with world.db.transaction() as tx:
            await settling.record_callbacks(tx, [settling.Callback(unknown.message_id, "delivered", "p-1")])
        assert (await world.reconcile(unknown, "resend")).outcome == "sent"

    async def test_a_message_that_is_gone_has_failed(self, world: World) -> None:
        gone = SendResult(outcome="unknown", message_id="01890a5d-ac96-774b-bcce-b302099a8057")
        assert (await world.reconcile(gone)).outcome == "failed"

    @staticmethod
    async def _unknown(world: World) -> SendResult:
        world.outside.fault("ses", "drop_before")
        result = await world.send("hello")
        assert result.outcome == "unknown"
        return result


class TestSms:
    async def test_accepted_then_dropped_is_found_in_twilios_list(self, world: World) -> None:
        world.outside.fault("twilio", "drop_after")
        unknown = await world.send("nudge")
        assert unknown.outcome == "unknown"
        found = await world.reconcile(unknown, "resend")
        assert found.outcome == "sent"
        (sms,) = world.outside.accepted(world.phone)
        assert (await world.message("sms")).provider_id == sms["id"]

    async def test_what_twilio_never_took_stays_unknown_until_settled(self, world: World) -> None:
        world.outside.fault("twilio", "drop_before")
        unknown = await world.send("nudge")
        assert (await world.reconcile(unknown)).outcome == "unknown"
        assert (await world.reconcile(unknown, "resend")).outcome == "deferred"

    async def test_another_message_of_the_same_text_is_not_taken_for_it(self, world: World) -> None:
        assert (await world.send("nudge", 1)).outcome == "sent"
        world.outside.fault("twilio", "drop_before")
        unknown = await world.send("nudge", 2)
        assert (await world.reconcile(unknown)).outcome == "unknown"

    async def test_a_message_of_another_text_is_not_taken_for_it(self, world: World) -> None:
        world.outside.fault("twilio", "drop_after")
        await world.send("inline")
        world.outside.fault("twilio", "drop_before")
        unknown = await world.send("nudge")
        assert (await world.reconcile(unknown)).outcome == "unknown"

    async def test_two_unknown_messages_share_one_found_text_only_once(self, world: World) -> None:
        world.outside.fault("twilio", "drop_after")
        first = await world.send("nudge", 1)
        world.outside.fault("twilio", "drop_before")
        second = await world.send("nudge", 2)
        outcomes = [(await world.reconcile(m)).outcome for m in (first, second)]
        assert outcomes == ["sent", "unknown"]

    @pytest.mark.parametrize(("kind", "error"), [("429", ERROR_THROTTLED), ("500", ERROR_UNAVAILABLE)])
    async def test_a_provider_that_cannot_be_asked_now_is_asked_again(
        self, world: World, kind: str, error: str
    ) -> None:
        world.outside.fault("twilio", "drop_before")
        unknown = await world.send("nudge")
        world.outside.fault("twilio", kind, operation="read")
        with pytest.raises(ApplicationError) as caught:
            await world.reconcile(unknown, "resend")
        assert caught.value.type == error

    async def test_a_decision_that_cannot_double_the_message_does_not_wait_for_the_provider(self, world: World) -> None:
        world.outside.fault("twilio", "drop_before")
        unknown = await world.send("nudge")
        world.outside.fault("twilio", "500", operation="read")
        assert (await world.reconcile(unknown, "assume_sent")).outcome == "sent"

    async def test_an_erased_person_is_not_asked_about(self, world: World) -> None:
        world.outside.fault("twilio", "drop_before")
        unknown = await world.send("nudge")
        await world.erase()
        assert (await world.reconcile(unknown, "assume_sent")).outcome == "sent"
