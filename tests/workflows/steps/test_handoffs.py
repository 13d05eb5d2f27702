"""The step `handoff`: a lead goes to sales, and the run waits for the answer, at most until it is due."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from activities.contract import HandedOver, SettledHandoff, SettleHandoffCall
from tests.workflows.program_parts import DAY, email, goal
from tests.workflows.scripted import Script, in_state, lasted, started
from tracks.runs.handoff_answers import event_id, event_of
from tracks.runs.program import Branch, Case, Exit, Handoff, Jump, Repeat
from tracks.runs.run_interface import EventSignal, Matched, RunResult

HANDOFF = (
    Handoff(step="sales", seconds=2 * DAY, rejected=3, expired=5, none=7),
    email("taken"),
    Jump(goto=8),
    email("refused"),
    Jump(goto=8),
    email("silent"),
    Jump(goto=8),
    email("nobody"),
)
Run = WorkflowHandle[Any, RunResult]


def enrollment_of(run: Run) -> str:
    return run.id.rpartition("/")[2]


def answered(run: Run, status: str, occurrence: int = 1, **properties: str) -> EventSignal:
    """The signal of an answer to the step's handoff of this occurrence."""
    key = f"{enrollment_of(run)}/sales/{occurrence}"
    return EventSignal(
        event_id=event_id(key, status),
        name=event_of(status),
        at=datetime.now(UTC),
        matches=("step:sales",),
        properties=properties,
    )


async def begun(
    stack: AsyncExitStack, client: Client, script: Script, code: Sequence[Any] = HANDOFF, **given: Any
) -> Run:
    """A run that waits for the answer."""
    run = await started(stack, client, script, code, **given)
    await in_state(run, "waiting")
    return run


@pytest.mark.parametrize(("status", "way"), [("accepted", "taken"), ("rejected", "refused")])
async def test_an_answer_takes_its_own_way_at_once(
    client: Client, stack: AsyncExitStack, status: str, way: str
) -> None:
    script = Script()
    run = await begun(stack, client, script)
    await run.signal("event", answered(run, status))
    await run.result()
    assert [call.step for call in script.calls] == ["sales", way]
    assert script.path[0] == ("sales", "took", status)
    assert await lasted(run) < timedelta(hours=1)
    assert not script.asked, "an answer that came in time needs no activity"


async def test_silence_until_it_is_due_takes_the_way_of_expiry(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, HANDOFF)
    await run.result()
    assert [call.step for call in script.calls] == ["sales", "silent"]
    (asked,) = script.asked
    assert asked == SettleHandoffCall(enrollment_id=enrollment_of(run), step="sales", occurrence=1, status="expired")
    assert timedelta(days=2) <= await lasted(run) < timedelta(days=3)


async def test_an_answer_that_the_database_has_and_the_run_has_not_heard_of_counts(
    client: Client, stack: AsyncExitStack
) -> None:
    event = Matched(event_id="e-1", name="handoff.rejected", at=datetime.now(UTC), properties={"reason": "no-fit"})
    script = Script(settled=SettledHandoff(outcome="rejected", event=event))
    branch = Branch(step="why", cases=(Case(when='event.properties.reason == "no-fit"', goto=4),), otherwise=5)
    code = (
        Handoff(step="sales", seconds=DAY, rejected=2, expired=1, none=1),
        Exit(step="other"),
        branch,
        Exit(step="unread"),
        email("no-fit"),
    )
    run = await started(stack, client, script, code)
    await run.result()
    assert [call.step for call in script.calls] == ["sales", "no-fit"]


async def test_the_reason_of_a_rejection_is_known_to_the_branches_behind_it(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script()
    branch = Branch(step="why", cases=(Case(when='event.properties.reason == "wrong-time"', goto=4),), otherwise=5)
    code = (Handoff(step="sales", seconds=DAY, rejected=2, expired=1, none=1), Exit(step="x"), branch, Exit(step="y"))
    run = await begun(stack, client, script, (*code, email("later")))
    await run.signal("event", answered(run, "rejected", reason="wrong-time"))
    await run.result()
    assert [call.step for call in script.calls] == ["sales", "later"]


@pytest.mark.parametrize("outcome", ["skipped", "failed"])
async def test_a_lead_that_could_not_be_handed_over_takes_the_way_of_nobody(
    client: Client, stack: AsyncExitStack, outcome: Any
) -> None:
    script = Script(handed_over=HandedOver(outcome=outcome, reason="why"))
    run = await started(stack, client, script, HANDOFF)
    await run.result()
    assert [call.step for call in script.calls] == ["sales", "nobody"]
    assert script.path[0] == ("sales", outcome, "why")


async def test_a_goal_ends_the_wait_at_once(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await begun(stack, client, script)
    await run.signal("event", goal())
    result = await run.result()
    assert (result.status, result.reason) == ("converted", "goal")
    assert [call.step for call in script.calls] == ["sales"]
    assert await lasted(run) < timedelta(hours=1)
    assert script.path[-1] == ("sales", "skipped", "the run ended")


async def test_the_answer_to_another_handoff_of_the_same_step_ends_no_wait(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script()
    code = (
        Repeat(step="rounds", times=2, end=3),
        Handoff(step="sales", seconds=2 * DAY, rejected=0, expired=0, none=0),
        Exit(step="taken", reason="taken"),
    )
    run = await begun(stack, client, script, code)
    await run.signal("event", answered(run, "accepted", occurrence=7))
    result = await run.result()
    assert result.reason == "all steps done"
    assert [call.occurrence for call in script.calls] == [1, 2]
    assert await lasted(run) >= timedelta(days=4)


async def test_an_operator_ends_the_wait_as_if_the_time_were_over(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await begun(stack, client, script)
    assert await run.execute_update("skip_wait") == "sales"
    await run.result()
    assert [call.step for call in script.calls] == ["sales", "silent"]
    assert await lasted(run) < timedelta(hours=1)


async def test_a_wait_that_continued_as_new_ends_on_time_and_makes_no_second_task(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(handed_over=timedelta(days=100))
    code = (Handoff(step="sales", seconds=100 * DAY, rejected=1, expired=1, none=1), email("silent"))
    run = await started(stack, client, script, code, continue_after=5)
    await run.result()
    assert [(call.step, call.occurrence) for call in script.calls] == [("sales", 1), ("silent", 1)]
    assert (await client.get_workflow_handle(run.id).describe()).run_id != run.first_execution_run_id
