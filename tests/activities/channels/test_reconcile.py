"""A message with an unknown outcome: callbacks and lists reveal the outcome; the policy settles it only at the end."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from activities.contract import ERROR_THROTTLED, ERROR_UNAVAILABLE, SendResult
from store.sending import send_outcomes
from tests.activities.activity_runner import ActivityRunner


class TestEmail:
    async def test_accepted_then_dropped_is_found_by_its_callback_and_is_one_message(
        self, runner: ActivityRunner
    ) -> None:
        runner.providers.fault("ses", "drop_after")
        unknown = await runner.send("hello")
        assert unknown.outcome == "unknown"
        assert (await runner.reconcile(unknown)).outcome == "unknown"
        (mail,) = runner.providers.accepted(runner.email)
        async with runner.db.transaction() as tx:  # what SES's signed event has the API write
            tag = mail["tags"]["perennial-message"]
            await send_outcomes.record_callbacks(tx, [send_outcomes.Callback(tag, "accepted", mail["id"])])
        assert (await runner.reconcile(unknown)).outcome == "sent"
        assert (await runner.send("hello", attempt=2)).outcome == "sent"
        assert len(runner.providers.accepted(runner.email)) == 1

    async def test_assumed_sent_stays_sent(self, runner: ActivityRunner) -> None:
        unknown = await self._unknown(runner)
        settled = await runner.reconcile(unknown, "assume_sent")
        assert (settled.outcome, settled.reason) == ("sent", "assumed")
        assert (await runner.send("hello")).outcome == "sent"
        assert runner.providers.accepted(runner.email) == []

    async def test_resend_makes_it_ready_to_be_claimed_again(self, runner: ActivityRunner) -> None:
        unknown = await self._unknown(runner)
        deferred = await runner.reconcile(unknown, "resend")
        assert deferred.outcome == "deferred" and deferred.until is not None
        sent = await runner.send("hello")
        assert (sent.outcome, sent.message_id) == ("sent", unknown.message_id)
        assert len(runner.providers.accepted(runner.email)) == 1

    async def test_an_operator_may_skip_it(self, runner: ActivityRunner) -> None:
        unknown = await self._unknown(runner)
        assert (await runner.reconcile(unknown, "skip")).outcome == "skipped"
        assert (await runner.send("hello")).outcome == "skipped"

    async def test_evidence_beats_the_policy(self, runner: ActivityRunner) -> None:
        unknown = await self._unknown(runner)
        async with runner.db.transaction() as tx:
            await send_outcomes.record_callbacks(tx, [send_outcomes.Callback(unknown.message_id, "delivered", "p-1")])
        assert (await runner.reconcile(unknown, "resend")).outcome == "sent"

    async def test_a_message_that_is_gone_has_failed(self, runner: ActivityRunner) -> None:
        gone = SendResult(outcome="unknown", message_id="01890a5d-ac96-774b-bcce-b302099a8057")
        assert (await runner.reconcile(gone)).outcome == "failed"

    @staticmethod
    async def _unknown(runner: ActivityRunner) -> SendResult:
        runner.providers.fault("ses", "drop_before")
        result = await runner.send("hello")
        assert result.outcome == "unknown"
        return result


class TestSms:
    async def test_accepted_then_dropped_is_found_in_twilios_list(self, runner: ActivityRunner) -> None:
        runner.providers.fault("twilio", "drop_after")
        unknown = await runner.send("nudge")
        assert unknown.outcome == "unknown"
        found = await runner.reconcile(unknown, "resend")
        assert found.outcome == "sent"
        (sms,) = runner.providers.accepted(runner.phone)
        assert (await runner.message("sms")).provider_id == sms["id"]

    async def test_what_twilio_never_took_stays_unknown_until_settled(self, runner: ActivityRunner) -> None:
        runner.providers.fault("twilio", "drop_before")
        unknown = await runner.send("nudge")
        assert (await runner.reconcile(unknown)).outcome == "unknown"
        assert (await runner.reconcile(unknown, "resend")).outcome == "deferred"

    async def test_another_message_of_the_same_text_is_not_taken_for_it(self, runner: ActivityRunner) -> None:
        assert (await runner.send("nudge", 1)).outcome == "sent"
        runner.providers.fault("twilio", "drop_before")
        unknown = await runner.send("nudge", 2)
        assert (await runner.reconcile(unknown)).outcome == "unknown"

    async def test_a_message_of_another_text_is_not_taken_for_it(self, runner: ActivityRunner) -> None:
        runner.providers.fault("twilio", "drop_after")
        await runner.send("inline")
        runner.providers.fault("twilio", "drop_before")
        unknown = await runner.send("nudge")
        assert (await runner.reconcile(unknown)).outcome == "unknown"

    async def test_two_unknown_messages_share_one_found_text_only_once(self, runner: ActivityRunner) -> None:
        runner.providers.fault("twilio", "drop_after")
        first = await runner.send("nudge", 1)
        runner.providers.fault("twilio", "drop_before")
        second = await runner.send("nudge", 2)
        outcomes = [(await runner.reconcile(m)).outcome for m in (first, second)]
        assert outcomes == ["sent", "unknown"]

    @pytest.mark.parametrize(("kind", "error"), [("429", ERROR_THROTTLED), ("500", ERROR_UNAVAILABLE)])
    async def test_a_provider_that_cannot_be_asked_now_is_asked_again(
        self, runner: ActivityRunner, kind: str, error: str
    ) -> None:
        runner.providers.fault("twilio", "drop_before")
        unknown = await runner.send("nudge")
        runner.providers.fault("twilio", kind, operation="read")
        with pytest.raises(ApplicationError) as caught:
            await runner.reconcile(unknown, "resend")
        assert caught.value.type == error

    async def test_a_decision_that_cannot_double_the_message_does_not_wait_for_the_provider(
        self, runner: ActivityRunner
    ) -> None:
        runner.providers.fault("twilio", "drop_before")
        unknown = await runner.send("nudge")
        runner.providers.fault("twilio", "500", operation="read")
        assert (await runner.reconcile(unknown, "assume_sent")).outcome == "sent"

    async def test_an_erased_person_is_not_asked_about(self, runner: ActivityRunner) -> None:
        runner.providers.fault("twilio", "drop_before")
        unknown = await runner.send("nudge")
        await runner.erase()
        assert (await runner.reconcile(unknown, "assume_sent")).outcome == "sent"
