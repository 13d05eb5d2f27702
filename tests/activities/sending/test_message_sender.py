"""Sending: a message is claimed, handed over once, settled. No message is sent twice, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from store.engine.pipeline import Pipeline, Statement
from store.runs.enrollments import enrollments
from store.sending import send_outcomes
from tests.activities.activity_runner import CHANNELS, HELLO, NAME, ActivityRunner
from tracks.runs.run_interface import PathEntry
from tracks.shared import link_tokens


class TestSent:
    async def test_an_email_carries_what_the_track_says(self, runner: ActivityRunner) -> None:
        result = await runner.send("hello")
        (mail,) = runner.providers.accepted(runner.email)
        assert result.outcome == "sent"
        assert mail["subject"] == f"Hello {NAME}"
        assert f"Go on, {runner.contact}" in mail["text"] and NAME in mail["html"]
        assert mail["tags"]["perennial-message"] == result.message_id
        headers = {name.lower(): value for name, value in mail["headers"].items()}
        way_out = headers["list-unsubscribe"].strip("<>")
        assert headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        assert link_tokens.verify("s" * 40, way_out.rpartition("/u/")[2]) == result.message_id
        assert way_out in mail["text"]

    async def test_messages_show_the_brand_of_the_settings(self, runner: ActivityRunner) -> None:
        await runner.rebuild(sender_name="Acme & Sons", sender_color="#a00000")
        await runner.template("hello", HELLO.replace("Dear ", '{{ brand.name | default: "We" }} {{ brand.color }} '))
        await runner.template("nudge", '---\nkind: sms\n---\n{{ brand.name | default: "We" }}: still there?')
        await runner.send("hello")
        await runner.send("nudge")
        (mail,), (sms,) = runner.providers.accepted(runner.email), runner.providers.accepted(runner.phone)
        assert "Acme &amp; Sons #a00000" in mail["html"]
        assert sms["text"] == "Acme & Sons: still there?"

    async def test_a_transactional_email_offers_no_one_click_way_out(self, runner: ActivityRunner) -> None:
        await runner.send("receipt")
        (mail,) = runner.providers.accepted(runner.email)
        assert mail["subject"] == "Receipt A-17"
        assert "list-unsubscribe" not in {name.lower() for name in mail["headers"]}

    @pytest.mark.parametrize(("step", "text"), [("nudge", f"Hi {NAME}, still there?"), ("inline", f"Hello {NAME}")])
    async def test_a_text_is_sent_from_a_template_or_the_step_itself(
        self, runner: ActivityRunner, step: str, text: str
    ) -> None:
        assert (await runner.send(step)).outcome == "sent"
        (sms,) = runner.providers.accepted(runner.phone)
        assert sms["text"] == text

    async def test_a_message_is_written_in_the_contacts_language_for_what_they_did(
        self, runner: ActivityRunner
    ) -> None:
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
        await runner.template("hello", source, {"de": german})
        await runner.store.contact(runner.contact, email=runner.email, locale="de_CH", attributes={"first_name": NAME})
        entry = PathEntry(seq=0, step="before", kind="wait_for", outcome="happened", at=datetime.now(UTC))
        await runner.run("perennial-email", "send_email", runner.call("hello", 1, entry))
        (mail,) = runner.providers.accepted(runner.email)
        assert mail["subject"] == f"Hallo {NAME}"
        assert "Weiter so" in mail["text"]
        assert '<html lang="de"' in mail["html"]

    async def test_a_send_speaks_to_the_database_three_times(
        self, runner: ActivityRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await runner.send("hello")  # constant data is read only once
        flights: list[list[str]] = []
        fly = Pipeline.fly

        async def noted(self: Pipeline, asked: Sequence[Statement] = (), **around: Any) -> Any:
            flights.extend([[one.sql.text for one in asked]] if asked else [])
            return await fly(self, asked, **around)

        monkeypatch.setattr(Pipeline, "fly", noted)
        assert (await runner.send("hello", 2)).outcome == "sent"
        assert len(flights) == 3, flights  # the contact's lock with the facts, the claim, how it ended

    async def test_the_ledger_knows_the_providers_id(self, runner: ActivityRunner) -> None:
        await runner.send("hello")
        (mail,) = runner.providers.accepted(runner.email)
        message = await runner.message()
        assert (message.status, message.provider_id) == ("sent", mail["id"])

    async def test_progress_reaches_the_database_on_the_way(self, runner: ActivityRunner) -> None:
        entry = PathEntry(seq=0, step="before", kind="wait", outcome="done", at=datetime.now(UTC))
        await runner.run("perennial-email", "send_email", runner.call("hello", 1, entry))
        async with runner.db.transaction() as tx:
            assert [e.step for e in await enrollments.path(tx, runner.enrollment.id)] == ["before"]

    @CHANNELS
    async def test_the_same_call_again_answers_the_same_and_sends_nothing(
        self, runner: ActivityRunner, step: str, provider: str, channel: str
    ) -> None:
        first = await runner.send(step)
        assert await runner.send(step) == first
        assert len(runner.providers.accepted(runner.email if channel == "email" else runner.phone)) == 1

    async def test_each_occurrence_of_a_step_is_a_message_of_its_own(self, runner: ActivityRunner) -> None:
        await runner.send("hello", 1)
        await runner.send("hello", 2)
        assert len(runner.providers.accepted(runner.email)) == 2

    async def test_many_attempts_at_once_send_one(self, runner: ActivityRunner) -> None:
        results = await asyncio.gather(*(runner.send("hello") for _ in range(6)))
        assert {r.outcome for r in results} <= {"sent", "unknown"}
        assert len(runner.providers.accepted(runner.email)) == 1


class TestUnknown:
    @CHANNELS
    @pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500", "500_after", "latency"])
    async def test_what_nobody_knows_is_never_sent_again(
        self, runner: ActivityRunner, step: str, provider: str, channel: str, kind: str
    ) -> None:
        runner.providers.fault(provider, kind, seconds=1.2)
        result = await runner.send(step)
        assert result.outcome == "unknown"
        again = await runner.send(step, attempt=2)
        assert (again.outcome, again.message_id) == ("unknown", result.message_id)
        if kind == "latency":
            await asyncio.sleep(1.0)
        address = runner.email if channel == "email" else runner.phone
        assert len(runner.providers.accepted(address)) == (0 if kind in ("drop_before", "500") else 1)

    async def test_a_claim_that_a_killed_worker_left_is_unknown(self, runner: ActivityRunner) -> None:
        await runner.store.claim(runner.enrollment.id, "dead-worker")
        assert (await runner.send("hello", attempt=2)).outcome == "unknown"
        assert runner.providers.accepted(runner.email) == []

    async def test_a_callback_before_the_answer_wins(self, runner: ActivityRunner) -> None:
        runner.providers.fault("ses", "latency", seconds=1.2)
        sending = asyncio.create_task(runner.send("hello"))
        await asyncio.sleep(0.3)
        message = await runner.message()
        async with runner.db.transaction() as tx:
            await send_outcomes.record_callbacks(tx, [send_outcomes.Callback(message.id, "accepted", "p-1")])
        assert (await sending).outcome == "sent"


class TestDatabase:
    async def test_losing_the_database_for_a_moment_after_the_provider_said_yes_loses_nothing(
        self, runner: ActivityRunner
    ) -> None:
        runner.providers.fault("ses", "latency", seconds=0.3)
        sending = asyncio.create_task(runner.send("hello"))
        await asyncio.sleep(0.15)
        async with runner.db.engine.connect() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert (await sending).outcome == "sent"
        assert (await runner.message()).status == "sent"


class TestPrivacy:
    @CHANNELS
    @pytest.mark.parametrize("kind", ["429", "500", "drop_after"])
    async def test_neither_results_nor_errors_nor_logs_name_the_person(
        self,
        runner: ActivityRunner,
        step: str,
        provider: str,
        channel: str,
        kind: str,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        caplog.set_level("INFO")
        runner.providers.fault(provider, kind)
        try:
            said = repr(await runner.send(step))
        except ApplicationError as error:
            said = repr((error, error.details, error.__cause__, error.__context__))
        printed = capsys.readouterr()
        for secret in (runner.email, runner.phone, NAME):
            assert secret not in said + caplog.text + printed.out + printed.err

    async def test_an_unexpected_error_reaches_temporal_as_its_class_alone(self, runner: ActivityRunner) -> None:
        async with runner.db.transaction() as tx:
            await tx.execute(text("ALTER TABLE message ADD CONSTRAINT never CHECK (status <> 'sending')"))
        with pytest.raises(ApplicationError) as caught:
            await runner.send("hello")
        assert caught.value.message == "unexpected IntegrityError"
        assert caught.value.__cause__ is None and caught.value.__context__ is None
