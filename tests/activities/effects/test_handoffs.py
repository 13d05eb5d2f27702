"""The step `handoff`: one task for one salesperson, however often the activity is tried, and what the task says."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.contract import (
    ERROR_UNAVAILABLE,
    HAND_OVER,
    QUEUE_CRM,
    SETTLE_HANDOFF,
    HandedOver,
    SettledHandoff,
    SettleHandoffCall,
)
from activities.effects.handoffs import NO_TEAM, NOBODY, RESTS
from store.engine.sql import utc_now
from store.people.crm import crm
from store.people.handoffs import answering
from store.people.handoffs import handoff as handoffs
from store.people.handoffs.answering import Said
from store.people.handoffs.exploring import chance
from store.people.handoffs.handoff import Handoff, Wanted
from store.published import policies
from store.runs.events import events
from store.runs.events.events import Event
from tests.activities.activity_runner import NAME, SCHEDULED, ActivityRunner
from tracks.policy.workspace_policy import parse_policy
from tracks.shared.link_tokens import verify_handoff

POLICY = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada Lovelace, crm_owner: '51234567'}, {id: emil, name: Emil Berg}]}}
  reject_reasons: {not-a-fit: Not a fit}
"""
NOBODY_THERE = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada Lovelace, away: true}]}}
  reject_reasons: {not-a-fit: Not a fit}
"""
TRACK = """
track: lead
steps:
  - id: sales
    handoff:
      to: sales
      reason: 'Wants order {{ enrollment.properties.order }}'
      due: 2d
      when_none: skip
      rejected: [{id: why, branch: [{when: 'event.properties.reason == "not-a-fit"', steps: []}]}]
  - id: broken
    handoff: {to: sales, reason: '{{ 1 | divided_by: 0 }}', due: 2d, when_none: skip}
  - {id: asked, wait_for: {event: pricing.viewed, within: 1d}}
  - id: about
    handoff: {to: sales, reason: 'Asks for {{ event.properties.plan }}', due: 2d, when_none: skip}
  - id: hot-only
    handoff: {to: sales, reason: Hot, due: 2d, needs: {score: none-such, grade: hot}, when_none: skip}
  - id: half
    handoff: {to: sales, reason: Half, due: 2d, needs: {score: none-such, grade: hot, explore: 50%}, when_none: skip}
  - id: elsewhere
    handoff: {to: partners, reason: Hi, due: 2d, when_none: skip}
"""


async def begin(runner: ActivityRunner, policy: str = POLICY) -> None:
    async with runner.db.transaction() as tx:
        await policies.publish(tx, parse_policy(policy), policy)
    await runner.enroll(TRACK)


async def hand_over(runner: ActivityRunner, step: str = "sales", *, attempt: int = 1) -> HandedOver:
    result: HandedOver = await runner.run(QUEUE_CRM, HAND_OVER, runner.call(step), attempt=attempt)
    return result


async def made(runner: ActivityRunner) -> list[Handoff]:
    async with runner.db.transaction() as tx:
        return await handoffs.page(tx, Wanted(contact_id=runner.contact))


async def card(runner: ActivityRunner) -> crm.Card:
    async with runner.db.transaction() as tx:
        found = await crm.get(tx, runner.contact)
    assert found is not None
    return found


class TestBuiltinCrm:
    async def test_the_task_names_the_salesperson_the_reason_and_what_the_lead_did(
        self, runner: ActivityRunner
    ) -> None:
        await begin(runner)
        event = Event("e1", runner.contact, "pricing.viewed", {"plan": "team"}, SCHEDULED)
        async with runner.db.transaction() as tx:
            await events.accept(tx, event, now=SCHEDULED)
        due = SCHEDULED + timedelta(days=2)
        assert await hand_over(runner) == HandedOver(outcome="waiting", due=due)
        ((task,), (note,)) = (await card(runner)).tasks, (await card(runner)).notes
        assert (task.title, task.owner, task.due_at) == ("Wants order A-17", "Ada Lovelace", due)
        assert "- 2026-03-02 09:00 UTC pricing.viewed (plan: team)" in note.body
        (handoff,) = await made(runner)
        token = note.body.rpartition("/handoff/")[2]
        assert verify_handoff(runner.providers.settings().signing_secret, token) == handoff.id
        assert (handoff.salesperson, handoff.status, handoff.scores) == ("ada", "waiting", None)
        tasks = await runner.store.rows("SELECT CAST(id AS text) FROM crm_task WHERE contact_id = :c", c=runner.contact)
        assert tasks == [(handoff.crm_task_id,)]

    async def test_attempts_at_once_and_again_make_one_task(self, runner: ActivityRunner) -> None:
        await begin(runner)
        results = await asyncio.gather(*(hand_over(runner, attempt=n + 1) for n in range(4)))
        assert results == [await hand_over(runner, attempt=5)] * 4
        assert (len((await card(runner)).tasks), len(await made(runner))) == (1, 1)

    async def test_nobody_who_takes_it_and_no_such_team_make_no_task(self, runner: ActivityRunner) -> None:
        await begin(runner, NOBODY_THERE)
        nobody = HandedOver(outcome="skipped", reason=NOBODY)
        assert await hand_over(runner) == await hand_over(runner, attempt=2) == nobody
        assert await hand_over(runner, "elsewhere") == HandedOver(outcome="skipped", reason=NO_TEAM)
        assert await made(runner) == []

    async def test_a_lead_without_the_grade_is_not_handed_over_unless_chance_has_chosen_it(
        self, runner: ActivityRunner
    ) -> None:
        await begin(runner)
        without = HandedOver(outcome="skipped", reason="no score none-such")
        assert await hand_over(runner, "hot-only") == without
        if chance("lead/half", runner.contact) >= 0.5:
            assert await hand_over(runner, "half") == without
            return
        assert (await hand_over(runner, "half")).outcome == "waiting"
        (handoff,) = await made(runner)
        assert handoff.explored and "explor" not in (await card(runner)).notes[0].body

    async def test_a_rejected_lead_rests_and_the_reason_says_until_when(self, runner: ActivityRunner) -> None:
        await begin(runner, POLICY + "  rest_after_rejection: 30d\n")
        await hand_over(runner)
        (first,) = await made(runner)
        await self.say(runner, first.id, "rejected", utc_now() - timedelta(days=20))
        again = await hand_over(runner, "about")
        until = utc_now() + timedelta(days=10)
        assert (again.outcome, again.reason.startswith(f"{RESTS} until {until:%Y-%m-%d}")) == ("skipped", True)
        assert await hand_over(runner, "about", attempt=2) == again

    @pytest.mark.parametrize(("said", "days"), [("rejected", 31), ("accepted", 1)])
    async def test_a_lead_that_was_accepted_or_rejected_long_ago_is_handed_over_again(
        self, runner: ActivityRunner, said: Said, days: int
    ) -> None:
        await begin(runner, POLICY + "  rest_after_rejection: 30d\n")
        await hand_over(runner)
        (first,) = await made(runner)
        await self.say(runner, first.id, said, utc_now() - timedelta(days=days))
        assert (await hand_over(runner, "about")).outcome == "waiting"

    async def test_a_rejection_that_came_too_late_makes_the_lead_rest_too(self, runner: ActivityRunner) -> None:
        await begin(runner, POLICY + "  rest_after_rejection: 30d\n")
        await hand_over(runner)
        (first,) = await made(runner)
        async with runner.db.transaction() as tx:
            await answering.settle(tx, first.effect_key, "expired")
        await self.say(runner, first.id, "rejected", utc_now())
        assert (await hand_over(runner, "about")).reason.startswith(RESTS)

    @staticmethod
    async def say(runner: ActivityRunner, handoff_id: str, said: Said, at: datetime) -> None:
        reason = "not-a-fit" if said == "rejected" else ""
        async with runner.db.transaction() as tx:
            await answering.answer(tx, said, handoff_id=handoff_id, reason=reason, now=at)

    async def test_the_reason_may_read_the_event_that_a_wait_matched(self, runner: ActivityRunner) -> None:
        await begin(runner)
        async with runner.db.transaction() as tx:
            await events.accept(tx, Event("e1", runner.contact, "pricing.viewed", {"plan": "team"}), now=SCHEDULED)
        call = runner.call("about").model_copy(update={"event_id": "e1"})
        await runner.run(QUEUE_CRM, HAND_OVER, call)
        assert [task.title for task in (await card(runner)).tasks] == ["Asks for team"]

    async def test_a_template_fault_fails_the_step_for_good(self, runner: ActivityRunner) -> None:
        await begin(runner)
        failed = HandedOver(outcome="failed", reason="template: FilterArgumentError")
        assert await hand_over(runner, "broken") == await hand_over(runner, "broken", attempt=2) == failed

    async def test_a_run_that_is_over_hands_nothing_over(self, runner: ActivityRunner) -> None:
        await begin(runner)
        await runner.store.close(runner.enrollment.id)
        assert (await hand_over(runner)).outcome == "ended"

    async def test_the_results_hold_no_personal_data(self, runner: ActivityRunner) -> None:
        await begin(runner)
        shown = (await hand_over(runner)).model_dump_json()
        assert NAME not in shown and runner.email not in shown and "Ada" not in shown

    async def test_sales_has_the_whole_time_on_the_runs_clock(self, runner: ActivityRunner) -> None:
        async with runner.db.transaction() as tx:
            await policies.publish(tx, parse_policy(POLICY), POLICY)
        await runner.enroll(TRACK, pace=86_400.0)
        assert await hand_over(runner) == HandedOver(outcome="waiting", due=SCHEDULED + timedelta(seconds=2))


class TestSettling:
    async def settle(self, runner: ActivityRunner) -> SettledHandoff:
        call = SettleHandoffCall(enrollment_id=runner.enrollment.id, step="sales", occurrence=1, status="expired")
        settled: SettledHandoff = await runner.local(SETTLE_HANDOFF, call)
        return settled

    async def test_without_an_answer_the_handoff_expires(self, runner: ActivityRunner) -> None:
        await begin(runner)
        await hand_over(runner)
        assert await self.settle(runner) == await self.settle(runner) == SettledHandoff(outcome="expired")
        assert [one.status for one in await made(runner)] == ["expired"]

    async def test_an_answer_counts_and_its_event_has_what_conditions_read(self, runner: ActivityRunner) -> None:
        await begin(runner)
        await hand_over(runner)
        (handoff,) = await made(runner)
        async with runner.db.transaction() as tx:
            await answering.answer(tx, "rejected", handoff_id=handoff.id, reason="not-a-fit", now=SCHEDULED)
        settled = await self.settle(runner)
        assert settled.outcome == "rejected" and settled.event is not None
        assert settled.event.event_id == f"handoff:{handoff.effect_key}:rejected"
        assert settled.event.properties == {"reason": "not-a-fit"}

    async def test_an_erased_contact_has_no_handoff_to_settle(self, runner: ActivityRunner) -> None:
        await begin(runner)
        await hand_over(runner)
        await runner.erase()
        assert await self.settle(runner) == SettledHandoff(outcome="expired")


class TestHubSpot:
    @staticmethod
    def tasks(runner: ActivityRunner) -> list[dict[str, Any]]:
        everything = runner.providers.crm()
        (contact,) = [c for c in everything["contacts"] if c["properties"].get("email") == runner.email]
        return [task for task in everything["tasks"] if f"contacts/{contact['id']}" in task["associations"]]

    async def test_the_task_is_the_owners_and_has_the_summary_with_the_link(self, runner: ActivityRunner) -> None:
        await runner.rebuild(crm="hubspot")
        await begin(runner)
        assert (await hand_over(runner)).outcome == "waiting"
        (task,), (handoff,) = self.tasks(runner), await made(runner)
        assert task["properties"]["hs_task_subject"] == "Wants order A-17"
        assert task["properties"]["hubspot_owner_id"] == "51234567"
        body = task["properties"]["hs_task_body"]
        link = re.search(r'<br>Your answer: <a href="([^"]+)">', body)
        assert link is not None and "\n" not in body
        token = link[1].rpartition("/")[2]
        assert verify_handoff(runner.providers.settings().signing_secret, token) == handoff.id
        assert task["id"] == handoff.crm_task_id

    @pytest.mark.parametrize("kind", ["drop_after", "500_after", "500"])
    async def test_an_attempt_that_broke_off_is_repeated_with_one_task_and_one_salesperson(
        self, runner: ActivityRunner, kind: str
    ) -> None:
        await runner.rebuild(crm="hubspot")
        await begin(runner)
        runner.providers.fault("hubspot", kind, match="/tasks")
        with pytest.raises(ApplicationError) as caught:
            await hand_over(runner)
        assert caught.value.type == ERROR_UNAVAILABLE
        assert (await hand_over(runner, attempt=2)).outcome == "waiting"
        (task,), (handoff,) = self.tasks(runner), await made(runner)
        assert (handoff.crm_task_id, handoff.salesperson) == (task["id"], "ada")

    async def test_a_retry_keeps_the_salesperson_whatever_the_policy_says_by_then(self, runner: ActivityRunner) -> None:
        await runner.rebuild(crm="hubspot")
        await begin(runner)
        runner.providers.fault("hubspot", "500", match="/tasks")
        with pytest.raises(ApplicationError):
            await hand_over(runner)
        async with runner.db.transaction() as tx:
            await policies.publish(tx, parse_policy(NOBODY_THERE.replace("sales: {people", "others: {people")), "")
        assert (await hand_over(runner, attempt=2)).outcome == "waiting"
        (task,), (handoff,) = self.tasks(runner), await made(runner)
        assert (handoff.salesperson, handoff.crm_task_id) == ("ada", task["id"])

    async def test_a_task_that_hubspot_refuses_fails_the_handoff(self, runner: ActivityRunner) -> None:
        await runner.rebuild(crm="hubspot")
        await begin(runner)
        await runner.store.contact(runner.contact, email=None)
        failed = HandedOver(outcome="failed", reason="hubspot:no-email")
        assert await hand_over(runner) == await hand_over(runner, attempt=2) == failed
        assert [one.status for one in await made(runner)] == ["failed"]
