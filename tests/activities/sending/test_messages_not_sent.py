"""A message that cannot go, or must not, says why: tried again, failed or skipped."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from activities.contract import ERROR_THROTTLED, ERROR_UNAVAILABLE
from store.people.consents import suppressions
from store.runs.events import events
from store.runs.events.events import Event
from tests.activities.activity_runner import CHANNELS, ActivityRunner

LEAVES_OUT = """
track: leaves-out
defaults:
  email: {from: ada@acme.test}
  sms: {from: '+15005550006'}
  sending: {unless: {event: order.paid, within: 90d}}
steps:
  - {id: hello, email: {template: hello}}
  - {id: receipt, email: {template: hello, transactional: true}}
  - {id: nudge, sms: {template: nudge, unless: 'contact.attributes.first_name != ""'}}
  - {id: inline, sms: {text: 'For everybody', unless: 'false'}}
"""


class TestNotSent:
    @CHANNELS
    async def test_throttled_waits_as_told_and_then_sends(
        self, runner: ActivityRunner, step: str, provider: str, channel: str
    ) -> None:
        runner.providers.fault(provider, "429", retry_after=7)
        with pytest.raises(ApplicationError) as caught:
            await runner.send(step)
        assert caught.value.type == ERROR_THROTTLED
        assert caught.value.next_retry_delay is not None
        assert 7 <= caught.value.next_retry_delay.total_seconds() <= 10.5, "with some scatter"
        assert caught.value.category.name == "BENIGN"
        assert not caught.value.non_retryable
        assert (await runner.send(step, attempt=2)).outcome == "sent"

    async def test_a_provider_that_is_down_is_asked_again(self, runner: ActivityRunner) -> None:
        await runner.rebuild(ses_endpoint_url="http://127.0.0.1:9")
        with pytest.raises(ApplicationError) as caught:
            await runner.send("hello")
        assert caught.value.type == ERROR_UNAVAILABLE
        assert (await runner.message()).status == "released"

    async def test_a_rejected_address_fails_this_contact_only(self, runner: ActivityRunner) -> None:
        await runner.store.contact(runner.contact, email="not an address")
        assert (await runner.send("hello")).outcome == "failed"
        await runner.store.contact(runner.contact, email=runner.email)
        assert (await runner.send("hello", 2)).outcome == "sent"

    async def test_a_number_that_can_never_work_is_not_tried_again(self, runner: ActivityRunner) -> None:
        await runner.store.contact(runner.contact, phone="+15005550009")  # Twilio's magic number of a landline
        first = await runner.send("nudge")
        assert (first.outcome, first.reason) == ("failed", "twilio:21614")
        assert (await runner.send("inline")).reason == "suppressed: bounced"

    async def test_a_template_fault_fails_the_message_before_the_provider_is_asked(
        self, runner: ActivityRunner
    ) -> None:
        await runner.template("hello", "---\nkind: email\nsubject: x\n---\n<mjml><mj-body>{{ 1 | divided_by: 0 }}")
        result = await runner.send("hello")
        assert (result.outcome, result.reason) == ("failed", "template: FilterArgumentError")
        assert runner.providers.accepted(runner.email) == []

    async def test_a_missing_template_fails_the_message(self, runner: ActivityRunner) -> None:
        await runner.enroll("track: t\nsteps:\n  - {id: hello, email: {template: gone, from: 'a@acme.test'}}")
        assert (await runner.send("hello")).reason == "template: NotFound"

    async def test_a_corrected_template_reaches_people_in_flight(self, runner: ActivityRunner) -> None:
        await runner.template("hello", "---\nkind: email\nsubject: Corrected\n---\nplain")
        await runner.send("hello")
        (mail,) = runner.providers.accepted(runner.email)
        assert mail["subject"] == "Corrected"

    async def test_a_suppressed_address_is_skipped_with_the_reason(self, runner: ActivityRunner) -> None:
        async with runner.db.transaction() as tx:
            await suppressions.add(tx, "email", runner.email, "unsubscribed")
        result = await runner.send("hello")
        assert (result.outcome, result.reason) == ("skipped", "suppressed: unsubscribed")
        assert (await runner.send("receipt")).outcome == "sent"

    async def test_whom_a_track_leaves_out_gets_none_of_its_marketing(self, runner: ActivityRunner) -> None:
        await runner.enroll(LEAVES_OUT)
        for step, said in (
            ("hello", "excluded: order.paid within 90d"),
            ("nudge", "excluded: condition"),
            ("inline", "sent"),
            ("receipt", "sent"),
        ):
            if step == "hello":
                bought = Event("e-1", runner.contact, "order.paid", {}, datetime.now(UTC))
                async with runner.db.transaction() as tx:
                    await events.accept(tx, bought)
            result = await runner.send(step)
            assert (result.reason or result.outcome) == said, step

    async def test_a_contact_without_an_address_is_skipped(self, runner: ActivityRunner) -> None:
        await runner.store.contact(runner.contact, phone=None)
        result = await runner.send("nudge")
        assert (result.outcome, result.reason) == ("skipped", "no address")

    async def test_a_run_that_is_over_sends_nothing(self, runner: ActivityRunner) -> None:
        await runner.store.close(runner.enrollment.id)
        assert (await runner.send("hello")).outcome == "ended"
        assert runner.providers.accepted(runner.email) == []

    async def test_an_enrollment_that_does_not_exist_has_ended(self, runner: ActivityRunner) -> None:
        call = runner.call("hello").model_copy(update={"enrollment_id": "01890a5d-ac96-774b-bcce-b302099a8057"})
        assert (await runner.run("perennial-email", "send_email", call)).outcome == "ended"
