"""`set` and `enroll` steps: the effect and its record are one transaction."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from activities.contract import ENROLL_CONTACT, SET_ATTRIBUTES, EffectResult
from store.people import contacts
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.enrollments import enrollments
from tests.activities.activity_runner import NAME, ActivityRunner
from tracks.conditions.conditions import evaluate
from tracks.policy.workspace_policy import ENROLL_MOST

SET = """
track: marks
steps:
  - id: mark
    set: {attributes: {nurtured: true, greeting: 'Dear {{ contact.attributes.first_name }}', first_name: null}}
  - id: broken
    set: {attributes: {x: '{{ 1 | divided_by: 0 }}'}}
"""
SCORES = """
track: scores
steps:
  - id: warmer
    set: {add: {score: 10, spent: '{{ enrollment.properties.total | default: 0.3 }}'}}
  - id: compute
    set: {numbers: {left: '{{ contact.attributes.seats | minus: 3 }}'}}
"""
OLD_SCORE = """
track: old-score
steps:
  - id: count
    set: {attributes: {score: '{{ contact.attributes.score | plus: 10 }}', add: {add: 10}}}
"""
ENROLL = """
track: leads-on
steps:
  - id: next
    enroll: {track: welcome, properties: {order: '{{ enrollment.properties.order }}-2'}}
  - id: nowhere
    enroll: {track: no-such-track}
"""


async def attributes(runner: ActivityRunner) -> dict[str, object]:
    async with runner.db.transaction() as tx:
        contact = await contacts.get(tx, runner.contact)
    assert contact is not None
    return dict(contact.attributes or {})


class TestSet:
    async def test_attributes_are_written_and_null_removes_one(self, runner: ActivityRunner) -> None:
        await runner.enroll(SET)
        assert await runner.local(SET_ATTRIBUTES, runner.call("mark")) == EffectResult(outcome="done")
        assert await attributes(runner) == {"nurtured": True, "greeting": f"Dear {NAME}"}

    async def test_again_does_not_undo_what_happened_since(self, runner: ActivityRunner) -> None:
        await runner.enroll(SET)
        await runner.local(SET_ATTRIBUTES, runner.call("mark"))
        await runner.store.contact(runner.contact, attributes={"nurtured": False})
        await runner.local(SET_ATTRIBUTES, runner.call("mark"))
        assert (await attributes(runner))["nurtured"] is False

    async def test_a_text_that_does_not_render_fails_the_step(self, runner: ActivityRunner) -> None:
        await runner.enroll(SET)
        result = await runner.local(SET_ATTRIBUTES, runner.call("broken"))
        assert result == EffectResult(outcome="failed", reason="template: FilterArgumentError")

    async def test_scores_of_runs_at_once_add_up_and_are_numbers_to_conditions(self, runner: ActivityRunner) -> None:
        await runner.enroll(SCORES)
        for _ in range(2):  # each activity runs twice, as after a lost answer
            calls = [runner.call("warmer", occurrence) for occurrence in range(1, 9)]
            results = await asyncio.gather(
                *(runner.local(SET_ATTRIBUTES, call) for call in calls),
                runner.store.contact(runner.contact, email=runner.email, attributes={"seen": True}),
            )
            assert {result.outcome for result in results[:-1]} == {"done"}
        found = await attributes(runner)
        assert (found["score"], found["spent"], found["seen"]) == (80, 2.4, True)
        assert evaluate("contact.attributes.score >= 80", {"contact": {"attributes": found}})

    async def test_a_text_of_an_older_track_is_added_to_as_the_number_that_it_is(self, runner: ActivityRunner) -> None:
        await runner.store.contact(runner.contact, attributes={"score": "55"})
        await runner.enroll(SCORES)
        await runner.local(SET_ATTRIBUTES, runner.call("warmer"))
        assert (await attributes(runner))["score"] == 65

    async def test_a_number_is_computed(self, runner: ActivityRunner) -> None:
        await runner.store.contact(runner.contact, attributes={"seats": 12})
        await runner.enroll(SCORES)
        assert (await runner.local(SET_ATTRIBUTES, runner.call("compute"))).outcome == "done"
        assert (await attributes(runner))["left"] == 9

    @pytest.mark.parametrize("value", [True, "hot", [1], 2**63 - 1])
    async def test_what_is_no_number_fails_the_step_and_writes_nothing(
        self, runner: ActivityRunner, value: object
    ) -> None:
        await runner.store.contact(runner.contact, attributes={"score": value})
        await runner.enroll(SCORES)
        result = await runner.local(SET_ATTRIBUTES, runner.call("warmer"))
        assert (result.outcome, result.reason.partition(":")[0]) == ("failed", "score")
        assert str(value) not in result.reason
        assert await attributes(runner) == {"first_name": NAME, "score": value}

    async def test_a_track_of_before_writes_texts_as_it_did(self, runner: ActivityRunner) -> None:
        await runner.store.contact(runner.contact, attributes={"score": 45})
        await runner.enroll(OLD_SCORE)
        await runner.local(SET_ATTRIBUTES, runner.call("count"))
        assert await attributes(runner) == {"first_name": NAME, "score": "55", "add": {"add": 10}}

    async def test_an_erased_contact_ends_the_run(self, runner: ActivityRunner) -> None:
        await runner.enroll(SET)
        await runner.erase()
        assert (await runner.local(SET_ATTRIBUTES, runner.call("mark"))).outcome == "ended"


class TestEnroll:
    async def test_the_contact_enters_the_other_track_at_the_same_pace(self, runner: ActivityRunner) -> None:
        await runner.store.close(runner.enrollment.id)
        await runner.store.publish(REENTER)
        await runner.enroll(ENROLL.replace("welcome", "open-house"), pace=60.0)
        assert await runner.local(ENROLL_CONTACT, runner.call("next")) == EffectResult(outcome="done", reason="created")
        async with runner.db.transaction() as tx:
            (entered,) = [e for e in await enrollments.live_for_contact(tx, runner.contact) if e.track == "open-house"]
        assert (entered.pace, entered.properties) == (60.0, {"order": "A-17-2"})

    async def test_a_live_run_there_counts_as_done(self, runner: ActivityRunner) -> None:
        await runner.enroll(ENROLL)
        result = await runner.local(ENROLL_CONTACT, runner.call("next"))
        assert result == EffectResult(outcome="done", reason="existing")

    async def test_the_re_entry_rule_skips_it(self, runner: ActivityRunner) -> None:
        await runner.store.close(runner.enrollment.id)
        await runner.enroll(ENROLL)
        result = await runner.local(ENROLL_CONTACT, runner.call("next"))
        assert result == EffectResult(outcome="skipped", reason="reentry")

    async def test_who_has_just_left_a_track_that_may_always_be_entered_is_not_put_into_it_again(
        self, runner: ActivityRunner
    ) -> None:
        """Two tracks that enrol each other do so at most once in half an hour, in whichever way they do it."""
        await runner.store.close(runner.enrollment.id)
        await runner.store.publish(REENTER)
        await runner.enroll(ENROLL.replace("welcome", "open-house"))
        await runner.local(ENROLL_CONTACT, runner.call("next"))
        async with runner.db.transaction() as tx:
            (entered,) = [e for e in await enrollments.live_for_contact(tx, runner.contact) if e.track == "open-house"]
        await runner.store.close(entered.id)
        again = runner.call("next").model_copy(update={"occurrence": 2})
        assert await runner.local(ENROLL_CONTACT, again) == EffectResult(outcome="skipped", reason="too-soon")
        async with runner.db.transaction() as tx:
            await tx.execute(text("UPDATE enrollment SET created_at = created_at - interval '31 minutes'"))
        later = runner.call("next").model_copy(update={"occurrence": 3})
        assert await runner.local(ENROLL_CONTACT, later) == EffectResult(outcome="done", reason="created")
        while_there = runner.call("next").model_copy(update={"occurrence": 4})
        assert await runner.local(ENROLL_CONTACT, while_there) == EffectResult(outcome="done", reason="existing")

    async def test_a_track_with_a_run_per_object_is_entered_for_many_and_not_without_end(
        self, runner: ActivityRunner
    ) -> None:
        await runner.store.publish(PER)
        await runner.enroll(ENROLL_PER)
        outcomes = []
        for number in range(1, ENROLL_MOST + 2):
            await runner.store.contact(runner.contact, attributes={"n": number})
            call = runner.call("next").model_copy(update={"occurrence": number})
            outcomes.append(await runner.local(ENROLL_CONTACT, call))
        assert outcomes[:-1] == [EffectResult(outcome="done", reason="created")] * ENROLL_MOST
        assert outcomes[-1] == EffectResult(outcome="skipped", reason="too-soon")
        async with runner.db.transaction() as tx:
            assert await drop_counts.totals(tx) == [Drop("too-soon", "entry", "per-object")]

    async def test_a_track_that_does_not_exist_fails_the_step(self, runner: ActivityRunner) -> None:
        await runner.enroll(ENROLL)
        result = await runner.local(ENROLL_CONTACT, runner.call("nowhere"))
        assert result == EffectResult(outcome="failed", reason="unknown_track")


REENTER = "track: open-house\nreentry: always\nsteps:\n  - {id: pause, wait: 1d}\n"
PER = "track: per-object\nreentry: {per: n}\nsteps:\n  - {id: pause, wait: 1d}\n"
ENROLL_PER = """
track: leads-many
steps:
  - id: next
    enroll: {track: per-object, properties: {n: 'n-{{ contact.attributes.n }}'}}
"""
