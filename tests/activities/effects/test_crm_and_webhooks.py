"""CRM and webhook steps: done once per effect key, tried again where that is safe."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook
from temporalio.exceptions import ApplicationError

from activities.contract import (
    CALL_WEBHOOK,
    ERROR_THROTTLED,
    ERROR_UNAVAILABLE,
    QUEUE_CRM,
    QUEUE_WEBHOOK,
    UPDATE_CRM,
    EffectResult,
)
from store.people.crm import crm, crm_changes
from tests.activities.activity_runner import NAME, SCHEDULED, ActivityRunner

CRM = """
track: sales
steps:
  - id: hot
    crm:
      stage: opportunity
      fields: {plan: pro, order: '{{ enrollment.properties.order }}'}
      note: 'Asked about {{ enrollment.properties.order }}'
      task: {title: 'Call {{ contact.attributes.first_name }}', due: 1d, owner: sales}
  - id: broken
    crm: {note: '{{ 1 | divided_by: 0 }}'}
"""


async def update(runner: ActivityRunner, step: str = "hot", *, attempt: int = 1) -> EffectResult:
    return await runner.act(QUEUE_CRM, UPDATE_CRM, step, attempt=attempt)


class TestBuiltinCrm:
    async def test_stage_fields_note_and_task_are_written(self, runner: ActivityRunner) -> None:
        await runner.enroll(CRM)
        assert await update(runner) == EffectResult(outcome="done")
        async with runner.db.transaction() as tx:
            card = await crm.get(tx, runner.contact)
        assert card is not None
        assert (card.stage, card.fields) == ("opportunity", {"plan": "pro", "order": "A-17"})
        assert [note.body for note in card.notes] == ["Asked about A-17"]
        (task,) = card.tasks
        assert (task.title, task.owner) == (f"Call {NAME}", "sales")
        assert task.due_at == SCHEDULED + timedelta(days=1)

    async def test_a_task_is_due_on_the_runs_clock(self, runner: ActivityRunner) -> None:
        await runner.enroll(CRM, pace=86400.0)
        await update(runner)
        async with runner.db.transaction() as tx:
            card = await crm.get(tx, runner.contact)
        assert card is not None and card.tasks[0].due_at == SCHEDULED + timedelta(seconds=1)

    async def test_the_attributes_follow_and_no_event_tells_of_a_tracks_own_change(
        self, runner: ActivityRunner
    ) -> None:
        await runner.enroll(CRM)
        await update(runner)
        ((attributes,),) = await runner.store.rows("SELECT attributes FROM contact WHERE id = :id", id=runner.contact)
        assert (attributes["crm_stage"], attributes["crm_plan"]) == ("opportunity", "pro")
        assert await runner.store.rows("SELECT 1 FROM event WHERE name LIKE 'crm.%'") == []

    async def test_a_track_that_begins_with_a_change_of_the_stage_does_not_begin_itself_by_its_own_step(
        self, runner: ActivityRunner
    ) -> None:
        entered = "SELECT 1 FROM enrollment WHERE track = 'circle'"
        await runner.store.publish(
            "track: circle\nentry: {event: crm.stage_changed}\nreentry: always\n"
            "steps:\n  - {id: back, crm: {stage: opportunity}}\n"
        )
        await runner.enroll(CRM)
        await update(runner)
        assert await runner.store.rows(entered) == []
        async with runner.db.transaction() as tx:
            await crm_changes.set_stage(tx, runner.contact, "lead")
        assert len(await runner.store.rows(entered)) == 1

    async def test_again_changes_nothing(self, runner: ActivityRunner) -> None:
        await runner.enroll(CRM)
        assert await update(runner) == await update(runner, attempt=2)
        async with runner.db.transaction() as tx:
            card = await crm.get(tx, runner.contact)
        assert card is not None and (len(card.notes), len(card.tasks)) == (1, 1)

    async def test_a_template_fault_fails_the_step_for_good(self, runner: ActivityRunner) -> None:
        await runner.enroll(CRM)
        failed = EffectResult(outcome="failed", reason="template: FilterArgumentError")
        assert await update(runner, "broken") == failed
        assert await update(runner, "broken") == failed

    async def test_a_run_that_is_over_writes_nothing(self, runner: ActivityRunner) -> None:
        await runner.enroll(CRM)
        await runner.store.close(runner.enrollment.id)
        assert (await update(runner)).outcome == "ended"


class TestHubSpot:
    async def test_the_contact_gets_stage_fields_note_and_task(self, runner: ActivityRunner) -> None:
        await self._begin(runner)
        assert (await update(runner)).outcome == "done"
        contact, notes, tasks = self._objects(runner)
        assert contact["properties"]["lifecyclestage"] == "opportunity"
        assert contact["properties"]["plan"] == "pro"
        assert [note["properties"]["hs_note_body"] for note in notes] == ["Asked about A-17"]
        assert [task["properties"]["hs_task_subject"] for task in tasks] == [f"Call {NAME}"]

    async def test_what_was_written_is_noted_so_that_its_echo_is_known_and_the_task_is_found(
        self, runner: ActivityRunner
    ) -> None:
        await self._begin(runner)
        runner.providers.fault("hubspot", "drop_after", match="/tasks")
        with pytest.raises(ApplicationError):
            await update(runner)
        await update(runner, attempt=2)
        contact, _, (task,) = self._objects(runner)
        assert await runner.store.rows("SELECT object_id, contact_id FROM hubspot_contact") == [
            (contact["id"], runner.contact)
        ]
        assert await runner.store.rows("SELECT name, value FROM hubspot_property") == [
            ("lifecyclestage", "opportunity")
        ]
        assert await runner.store.rows("SELECT task_id, effect_key FROM hubspot_task") == [
            (task["id"], f"{runner.enrollment.id}/hot/1")
        ]
        ((attributes,),) = await runner.store.rows("SELECT attributes FROM contact WHERE id = :id", id=runner.contact)
        assert attributes["crm_stage"] == "opportunity"
        assert await runner.store.rows("SELECT 1 FROM event WHERE name LIKE 'crm.%'") == []

    @pytest.mark.parametrize("calls_before", [0, 1, 2], ids=["contact", "note", "task"])
    @pytest.mark.parametrize("kind", ["drop_after", "500_after", "500", "drop_before"])
    async def test_an_attempt_that_broke_off_is_repeated_without_doubling_anything(
        self, runner: ActivityRunner, kind: str, calls_before: int
    ) -> None:
        await self._begin(runner)
        match = ("/contacts/", "/notes", "/tasks")[calls_before]
        runner.providers.fault("hubspot", kind, match=match)
        with pytest.raises(ApplicationError) as caught:
            await update(runner)
        assert caught.value.type == ERROR_UNAVAILABLE
        assert (await update(runner, attempt=2)).outcome == "done"
        _, notes, tasks = self._objects(runner)
        assert (len(notes), len(tasks)) == (1, 1)

    async def test_throttled_waits_as_told(self, runner: ActivityRunner) -> None:
        await self._begin(runner)
        runner.providers.fault("hubspot", "429", retry_after=3)
        with pytest.raises(ApplicationError) as caught:
            await update(runner)
        assert caught.value.type == ERROR_THROTTLED
        assert caught.value.next_retry_delay is not None
        assert timedelta(seconds=3) <= caught.value.next_retry_delay <= timedelta(seconds=4.5)

    async def test_a_contact_without_an_email_fails_with_the_reason(self, runner: ActivityRunner) -> None:
        await self._begin(runner)
        await runner.store.contact(runner.contact, email=None)
        assert await update(runner) == EffectResult(outcome="failed", reason="hubspot:no-email")

    @staticmethod
    async def _begin(runner: ActivityRunner) -> None:
        await runner.rebuild(crm="hubspot")
        await runner.enroll(CRM)

    @staticmethod
    def _objects(runner: ActivityRunner) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
        everything = runner.providers.crm()
        (contact,) = [c for c in everything["contacts"] if c["properties"].get("email") == runner.email]
        mine = f"contacts/{contact['id']}"
        notes, tasks = ([o for o in everything[kind] if mine in o["associations"]] for kind in ("notes", "tasks"))
        return contact, notes, tasks


class TestWebhook:
    async def test_the_call_is_signed_and_says_whom_it_is_about(self, runner: ActivityRunner) -> None:
        path = await self._begin(runner)
        assert (await self._call(runner)).outcome == "done"
        (received,) = runner.providers.accepted(path)
        headers = received["headers"]
        secret = runner.providers.settings().webhook_secret.get_secret_value()
        Webhook(secret).verify(received["text"].encode(), headers)
        assert headers["webhook-id"] == f"{runner.enrollment.id}/hook/1"
        body = json.loads(received["text"])
        assert body["type"] == "track.webhook"
        assert body["data"] == {
            "contact_id": runner.contact,
            "enrollment_id": runner.enrollment.id,
            "track": "hooked",
            "version": 1,
            "step": "hook",
            "payload": {"order": "A-17", "n": 3},
        }

    @pytest.mark.parametrize("kind", ["500", "500_after", "drop_before", "drop_after", "latency"])
    async def test_no_clear_answer_is_tried_again_under_the_same_id(self, runner: ActivityRunner, kind: str) -> None:
        path = await self._begin(runner)
        runner.providers.fault("webhook", kind, match=runner.contact, seconds=1.2)
        with pytest.raises(ApplicationError) as caught:
            await self._call(runner)
        assert caught.value.type == ERROR_UNAVAILABLE
        assert (await self._call(runner)).outcome == "done"
        assert {r["headers"]["webhook-id"] for r in runner.providers.accepted(path)} == {
            f"{runner.enrollment.id}/hook/1"
        }

    async def test_once_accepted_it_is_not_called_again(self, runner: ActivityRunner) -> None:
        path = await self._begin(runner)
        assert await self._call(runner) == await self._call(runner)
        assert len(runner.providers.accepted(path)) == 1

    async def test_throttled_waits_as_told(self, runner: ActivityRunner) -> None:
        await self._begin(runner)
        runner.providers.fault("webhook", "429", match=runner.contact, retry_after=3)
        with pytest.raises(ApplicationError) as caught:
            await self._call(runner)
        assert caught.value.type == ERROR_THROTTLED and caught.value.next_retry_delay is not None
        assert timedelta(seconds=3) <= caught.value.next_retry_delay <= timedelta(seconds=4.5)

    async def test_a_receiver_that_says_no_has_decided(self, runner: ActivityRunner) -> None:
        await self._begin(runner, url=f"{runner.providers.sandbox.url}/nowhere")
        assert await self._call(runner) == EffectResult(outcome="failed", reason="webhook:404")

    async def test_a_receiver_that_stays_away_is_tried_for_as_long_as_the_step_says(
        self, runner: ActivityRunner
    ) -> None:
        """The activity was scheduled long ago, but not ten years ago."""
        await self._begin(runner, more=", give_up_after: 3650d")
        runner.providers.fault("webhook", "500", match=runner.contact, times=1)
        with pytest.raises(ApplicationError):
            await self._call(runner)

    async def test_a_receiver_that_stays_away_for_longer_is_given_up(self, runner: ActivityRunner) -> None:
        await self._begin(runner, more=", give_up_after: 1h")
        runner.providers.fault("webhook", "500", match=runner.contact, times=1)
        failed = EffectResult(outcome="failed", reason="webhook:500 for 1h")
        assert await self._call(runner) == failed
        assert await self._call(runner) == failed, "the late answer changes nothing"

    async def test_in_production_the_inside_of_the_network_is_not_called(self, runner: ActivityRunner) -> None:
        path = await self._begin(runner)
        await runner.rebuild(environment="production", public_url="https://acme.test")
        assert await self._call(runner) == EffectResult(outcome="failed", reason="webhook:address-refused")
        assert runner.providers.accepted(path) == []

    async def test_in_production_a_named_host_is_called_wherever_it_is(self, runner: ActivityRunner) -> None:
        await self._begin(runner)
        await runner.rebuild(environment="production", public_url="https://acme.test", webhook_hosts=("127.0.0.1",))
        assert (await self._call(runner)).outcome == "done"

    async def test_nothing_leaves_unsigned(self, runner: ActivityRunner) -> None:
        path = await self._begin(runner)
        await runner.rebuild(webhook_secret="")
        with pytest.raises(ApplicationError, match="no-credentials"):
            await self._call(runner)
        assert runner.providers.accepted(path) == []

    @staticmethod
    async def _begin(runner: ActivityRunner, url: str = "", more: str = "") -> str:
        path = f"/hooks/{runner.contact}"
        url = url or runner.providers.sandbox.url + path
        payload = "{order: '{{ enrollment.properties.order }}', n: 3}"
        await runner.enroll(
            f"track: hooked\nsteps:\n  - id: hook\n    webhook: {{url: '{url}', payload: {payload}{more}}}"
        )
        return path

    @staticmethod
    async def _call(runner: ActivityRunner) -> EffectResult:
        return await runner.act(QUEUE_WEBHOOK, CALL_WEBHOOK, "hook")
