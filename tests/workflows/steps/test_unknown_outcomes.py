"""A message whose outcome nobody knows is reconciled, and then settled as its step says (law 3)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from activities.contract import ReconcileCall, SendResult
from tests.workflows.program_parts import DAY, email, goal
from tests.workflows.scripted import SENT, Script, in_state, lasted, started
from tracks.runs.program import Effect, Wait
from tracks.runs.run_interface import Journey, ResolveMessage, RunResult

UNKNOWN = SendResult(outcome="unknown", message_id="m-1")


async def test_an_unknown_outcome_is_reconciled_before_the_run_goes_on(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN, UNKNOWN, SENT])
    run = await started(stack, client, script, [email("hello")])
    result = await run.result()
    assert result.sent == {"email": 1}
    assert script.asked == [ReconcileCall(message_id="m-1")] * 3
    assert len(script.calls) == 1


async def test_an_outcome_nobody_learns_is_assumed_sent_by_default(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SENT])
    run = await started(stack, client, script, [email("hello")])
    await run.result()
    assert script.asked[-1] == ReconcileCall(message_id="m-1", settle="assume_sent")
    assert len(script.calls) == 1


async def test_resend_sends_again_only_after_the_whole_window(client: Client, stack: AsyncExitStack) -> None:
    again = SendResult(outcome="deferred", reason="resend")
    script = Script(sends={"hello": [UNKNOWN, SENT]}, reconciles=[UNKNOWN] * 6 + [again])
    run = await started(stack, client, script, [email("hello", on_unknown="resend")])
    await run.result()
    assert [call.occurrence for call in script.calls] == [1, 1]
    assert await lasted(run) >= timedelta(hours=8)


async def test_review_waits_for_an_operators_decision(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SendResult(outcome="skipped")])
    run = await started(stack, client, script, [email("hello", on_unknown="review")])
    with pytest.raises(WorkflowUpdateFailedError):
        await run.execute_update("resolve_message", ResolveMessage(decision="sent"))
    await temporal_env.sleep(timedelta(days=1))
    journey = await run.query("journey", result_type=Journey)
    assert journey.state == "needs_review"
    assert await run.execute_update("resolve_message", ResolveMessage(decision="skip")) == "hello"
    await run.result()
    assert script.path == [("hello", "unknown", "being reconciled"), ("hello", "skipped", "")]


async def test_a_review_that_takes_months_is_about_the_same_message(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SENT])
    code = [Effect(step="hello", kind="email", on_unknown="review"), Wait(step="pause", seconds=DAY)]
    run = await started(stack, client, script, code, continue_after=5)
    await temporal_env.sleep(timedelta(days=65))
    latest: WorkflowHandle[object, RunResult] = client.get_workflow_handle(run.id)
    await in_state(latest, "needs_review")
    await latest.execute_update("resolve_message", ResolveMessage(decision="sent"))
    result = await run.result()
    assert [(call.step, call.occurrence) for call in script.calls] == [("hello", 1)]
    assert len(script.asked) == 7
    assert result.messages == {"sent": 1}


async def test_a_message_of_unknown_outcome_stays_unknown_if_the_run_ends(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN])
    run = await started(stack, client, script, [Effect(step="hello", kind="email", on_unknown="review")])
    await in_state(run, "reconciling")
    await run.signal("event", goal())
    assert (await run.result()).messages == {"unknown": 1}
    assert script.path[-1][:2] == ("hello", "unknown")
