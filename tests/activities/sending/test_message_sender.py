"""Sending: a message is claimed, handed over once, settled. No message is sent twice, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities.contract import ERROR_THROTTLED, ERROR_UNAVAILABLE
from store.engine.pipeline import Pipeline, Statement
from store.people import suppressions
from store.runs import enrollments, events
from store.runs.events import Event
from store.sending import settling
from tests.activities.world import HELLO, NAME, World
from tracks.program.run import PathEntry
from tracks.shared import link_tokens

CHANNELS = pytest.mark.parametrize(
    ("step", "provider", "channel"), [("hello", "ses", "email"), ("nudge", "twilio", "sms")]
)

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


class TestSent:
    async def test_an_email_carries_what_the_track_says(self, world: World) -> None:
        result = await world.send("hello")
        (mail,) = world.outside.accepted(world.email)
        assert result.outcome == "sent"
        assert mail["subject"] == f"Hello {NAME}"
        assert f"Go on, {world.contact}" in mail["text"] and NAME in mail["html"]
        assert mail["tags"]["perennial-message"] == result.message_id
        headers = {name.lower(): value for name, value in mail["headers"].items()}
        way_out = headers["list-unsubscribe"].strip("<>")
        assert headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        assert link_tokens.verify("s" * 40, way_out.rpartition("/u/")[2]) == result.message_id
        assert way_out in mail["text"]

    async def test_messages_show_the_brand_of_the_settings(self, world: World) -> None:
        await world.rebuild(sender_name="Acme & Sons", sender_color="#a00000")
        await world.template("hello", HELLO.replace("Dear ", '{{ brand.name | default: "We" }} {{ brand.color }} '))
        await world.template("nudge", '---\nkind: sms\n---\n{{ brand.name | default: "We" }}: still there?')
        await world.send("hello")
        await world.send("nudge")
        (mail,), (sms,) = world.outside.accepted(world.email), world.outside.accepted(world.phone)
        assert "Acme &amp; Sons #a00000" in mail["html"]
        assert sms["text"] == "Acme & Sons: still there?"

    async def test_a_transactional_email_offers_no_one_click_way_out(self, world: World) -> None:
        await world.send("receipt")
        (mail,) = world.outside.accepted(world.email)
        assert mail["subject"] == "Receipt A-17"
        assert "list-unsubscribe" not in {name.lower() for name in mail["headers"]}

    @pytest.mark.parametrize(("step", "text"), [("nudge", f"Hi {NAME}, still there?"), ("inline", f"Hello {NAME}")])
    async def test_a_text_is_sent_from_a_template_or_the_step_itself(self, world: World, step: str, text: str) -> None:
        assert (await world.send(step)).outcome == "sent"
        (sms,) = world.outside.accepted(world.phone)
        assert sms["text"] == text

    async def test_a_message_is_written_in_the_contacts_language_for_what_they_did(self, world: World) -> None:
        source = HELLO.replace(
            "variables:",
            "blocks:\n  did:\n    - {name: used, when: 'enrollment.steps.before == \"happened\"', text: Go on}\n"
            "    - else: Begin\nvariables:",
        ).replace("{{ cta }}", "{{ blocks.did }}")
        german = source.replace("Hello", "Hallo").replace("kind: email\n", "")
        german = (
            german[: german.index("blocks:")]
            + "blocks: {did: {used: Weiter so, else: Los}}\n---\n"
            + german.split("---\n")[2]
        )
        await world.template("hello", source, {"de": german})
        await world.scene.contact(world.contact, email=world.email, locale="de_CH", attributes={"first_name": NAME})
        entry = PathEntry(seq=0, step="before", kind="wait_for", outcome="happened", at=datetime.now(UTC))
        await world.run("perennial-email", "send_email", world.call("hello", 1, entry))
        (mail,) = world.outside.accepted(world.email)
        assert mail["subject"] == f"Hallo {NAME}"
        assert "Weiter so" in mail["text"]
        assert '<html lang="de"' in mail["html"]

    async def test_a_send_speaks_to_the_database_three_times(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.send("hello")  # constant data is read only once
        flights: list[list[str]] = []
        fly = Pipeline.fly

        async def noted(self: Pipeline, asked: Sequence[Statement] = (), **around: Any) -> Any:
            flights.extend([[one.sql.text for one in asked]] if asked else [])
            return await fly(self, asked, **around)

        monkeypatch.setattr(Pipeline, "fly", noted)
        assert (await world.send("hello", 2)).outcome == "sent"
        assert len(flights) == 3, flights  # the contact's lock with the facts, the claim, how it ended

    async def test_the_ledger_knows_the_providers_id(self, world: World) -> None:
        await world.send("hello")
        (mail,) = world.outside.accepted(world.email)
        message = await world.message()
        assert (message.status, message.provider_id) == ("sent", mail["id"])

    async def test_progress_reaches_the_database_on_the_way(self, world: World) -> None:
        entry = PathEntry(seq=0, step="before", kind="wait", outcome="done", at=datetime.now(UTC))
        await world.run("perennial-email", "send_email", world.call("hello", 1, entry))
        async with world.db.transaction() as tx:
            assert [e.step for e in await enrollments.path(tx, world.enrollment.id)] == ["before"]

    @CHANNELS
    async def test_the_same_call_again_answers_the_same_and_sends_nothing(
        self, world: World, step: str, provider: str, channel: str
    ) -> None:
        first = await world.send(step)
        assert await world.send(step) == first
        assert len(world.outside.accepted(world.email if channel == "email" else world.phone)) == 1

    async def test_each_occurrence_of_a_step_is_a_message_of_its_own(self, world: World) -> None:
        await world.send("hello", 1)
        await world.send("hello", 2)
        assert len(world.outside.accepted(world.email)) == 2

    async def test_many_attempts_at_once_send_one(self, world: World) -> None:
        results = await asyncio.gather(*(world.send("hello") for _ in range(6)))
        assert {r.outcome for r in results} <= {"sent", "unknown"}
        assert len(world.outside.accepted(world.email)) == 1


class TestNotSent:
    @CHANNELS
    async def test_throttled_waits_as_told_and_then_sends(
        self, world: World, step: str, provider: str, channel: str
    ) -> None:
        world.outside.fault(provider, "429", retry_after=7)
        with pytest.raises(ApplicationError) as caught:
            await world.send(step)
        assert caught.value.type == ERROR_THROTTLED
        assert caught.value.next_retry_delay is not None
        assert 7 <= caught.value.next_retry_delay.total_seconds() <= 10.5, "with some scatter"
        assert caught.value.category.name == "BENIGN"
        assert not caught.value.non_retryable
        assert (await world.send(step, attempt=2)).outcome == "sent"

    async def test_a_provider_that_is_down_is_asked_again(self, world: World) -> None:
        await world.rebuild(ses_endpoint_url="http://127.0.0.1:9")
        with pytest.raises(ApplicationError) as caught:
            await world.send("hello")
        assert caught.value.type == ERROR_UNAVAILABLE
        assert (await world.message()).status == "released"

    async def test_a_rejected_address_fails_this_contact_only(self, world: World) -> None:
        await world.scene.contact(world.contact, email="not an address")
        assert (await world.send("hello")).outcome == "failed"
        await world.scene.contact(world.contact, email=world.email)
        assert (await world.send("hello", 2)).outcome == "sent"

    async def test_a_number_that_can_never_work_is_not_tried_again(self, world: World) -> None:
        await world.scene.contact(world.contact, phone="+15005550009")  # Twilio's magic number of a landline
        first = await world.send("nudge")
        assert (first.outcome, first.reason) == ("failed", "twilio:21614")
        assert (await world.send("inline")).reason == "suppressed: bounced"

    async def test_a_template_fault_fails_the_message_before_the_provider_is_asked(self, world: World) -> None:
        await world.template("hello", "---\nkind: email\nsubject: x\n---\n<mjml><mj-body>{{ 1 | divided_by: 0 }}")
        result = await world.send("hello")
        assert (result.outcome, result.reason) == ("failed", "template: FilterArgumentError")
        assert world.outside.accepted(world.email) == []

    async def test_a_missing_template_fails_the_message(self, world: World) -> None:
        await world.enroll("track: t\nsteps:\n  - {id: hello, email: {template: gone, from: 'a@acme.test'}}")
        assert (await world.send("hello")).reason == "template: NotFound"

    async def test_a_corrected_template_reaches_people_in_flight(self, world: World) -> None:
        await world.template("hello", "---\nkind: email\nsubject: Corrected\n---\nplain")
        await world.send("hello")
        (mail,) = world.outside.accepted(world.email)
        assert mail["subject"] == "Corrected"

    async def test_a_suppressed_address_is_skipped_with_the_reason(self, world: World) -> None:
        async with world.db.transaction() as tx:
            await suppressions.add(tx, "email", world.email, "unsubscribed")
        result = await world.send("hello")
        assert (result.outcome, result.reason) == ("skipped", "suppressed: unsubscribed")
        assert (await world.send("receipt")).outcome == "sent"

    async def test_whom_a_track_leaves_out_gets_none_of_its_marketing(self, world: World) -> None:
        await world.enroll(LEAVES_OUT)
        for step, said in (
            ("hello", "excluded: order.paid within 90d"),
            ("nudge", "excluded: condition"),
            ("inline", "sent"),
            ("receipt", "sent"),
        ):
            if step == "hello":
                bought = Event("e-1", world.contact, "order.paid", {}, datetime.now(UTC))
                async with world.db.transaction() as tx:
                    await events.accept(tx, bought)
            result = await world.send(step)
            assert (result.reason or result.outcome) == said, step

    async def test_a_contact_without_an_address_is_skipped(self, world: World) -> None:
        await world.scene.contact(world.contact, phone=None)
        result = await world.send("nudge")
        assert (result.outcome, result.reason) == ("skipped", "no address")

    async def test_a_run_that_is_over_sends_nothing(self, world: World) -> None:
        await world.scene.close(world.enrollment.id)
        assert (await world.send("hello")).outcome == "ended"
        assert world.outside.accepted(world.email) == []

    async def test_an_enrollment_that_does_not_exist_has_ended(self, world: World) -> None:
        call = world.call("hello").model_copy(update={"enrollment_id": "01890a5d-ac96-774b-bcce-b302099a8057"})
        assert (await world.run("perennial-email", "send_email", call)).outcome == "ended"


class TestUnknown:
    @CHANNELS
    @pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500", "500_after", "latency"])
    async def test_what_nobody_knows_is_never_sent_again(
        self, world: World, step: str, provider: str, channel: str, kind: str
    ) -> None:
        world.outside.fault(provider, kind, seconds=1.2)
        result = await world.send(step)
        assert result.outcome == "unknown"
        again = await world.send(step, attempt=2)
        assert (again.outcome, again.message_id) == ("unknown", result.message_id)
        if kind == "latency":
            await asyncio.sleep(1.0)
        address = world.email if channel == "email" else world.phone
        assert len(world.outside.accepted(address)) == (0 if kind in ("drop_before", "500") else 1)

    async def test_a_claim_that_a_killed_worker_left_is_unknown(self, world: World) -> None:
        await world.scene.claim(world.enrollment.id, "dead-worker")
        assert (await world.send("hello", attempt=2)).outcome == "unknown"
        assert world.outside.accepted(world.email) == []

    async def test_a_callback_before_the_answer_wins(self, world: World) -> None:
        world.outside.fault("ses", "latency", seconds=1.2)
        sending = asyncio.create_task(world.send("hello"))
        await asyncio.sleep(0.3)
        message = await world.message()
        async with world.db.transaction() as tx:
            await settling.record_callbacks(tx, [settling.Callback(message.id, "accepted", "p-1")])
        assert (await sending).outcome == "sent"


class TestDatabase:
    async def test_losing_the_database_for_a_moment_after_the_provider_said_yes_loses_nothing(
        self, world: World
    ) -> None:
        world.outside.fault("ses", "latency", seconds=0.3)
        sending = asyncio.create_task(world.send("hello"))
        await asyncio.sleep(0.15)
        async with world.db.engine.connect() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert (await sending).outcome == "sent"
        assert (await world.message()).status == "sent"


class TestPrivacy:
    @CHANNELS
    @pytest.mark.parametrize("kind", ["429", "500", "drop_after"])
    async def test_neither_results_nor_errors_nor_logs_name_the_person(
        self,
        world: World,
        step: str,
        provider: str,
        channel: str,
        kind: str,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        caplog.set_level("INFO")
        world.outside.fault(provider, kind)
        try:
            said = repr(await world.send(step))
        except ApplicationError as error:
            said = repr((error, error.details, error.__cause__, error.__context__))
        printed = capsys.readouterr()
        for secret in (world.email, world.phone, NAME):
            assert secret not in said + caplog.text + printed.out + printed.err

    async def test_an_unexpected_error_reaches_temporal_as_its_class_alone(self, world: World) -> None:
        async with world.db.transaction() as tx:
            await tx.execute(text("ALTER TABLE message ADD CONSTRAINT never CHECK (status <> 'sending')"))
        with pytest.raises(ApplicationError) as caught:
            await world.send("hello")
        assert caught.value.message == "unexpected IntegrityError"
        assert caught.value.__cause__ is None and caught.value.__context__ is None
