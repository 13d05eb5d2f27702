"""What a run does from its first step to its end, on the time-skipping server with scripted activities."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities.contract import SendResult, StepCall
from tests.conftest import DevServer
from tests.workflows.program_parts import DAY, clicked, email
from tests.workflows.scripted import Script, lasted, started
from tracks.runs.program import Jump, Repeat, Wait
from tracks.runs.run_interface import EndSignal
from workflows import retry_policies


async def test_steps_run_in_order_and_the_whole_path_reaches_the_books(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [email("hello"), Wait(step="pause", seconds=2 * DAY), email("again")])
    result = await run.result()
    assert (result.status, result.sent) == ("completed", {"email": 2})
    assert await lasted(run) >= timedelta(days=2)
    assert script.path == [("hello", "sent", ""), ("pause", "done", ""), ("again", "sent", "")]
    assert [call.occurrence for call in script.calls] == [1, 1]


async def test_a_path_that_nobody_takes_is_brought_to_the_books_before_it_grows_long(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script()
    times = retry_policies.PATH_LIMIT + 50
    code = [Repeat(step="days", times=times, end=3), Wait(step="day", seconds=DAY), Jump(goto=0)]
    run = await started(stack, client, script, code)
    await run.result()
    assert [len(call.path) for call in script.reported] == [retry_policies.PATH_LIMIT]
    assert len(script.closed[0].path) == 51
    assert len(script.path) == times + 1


async def test_a_goal_ends_a_thirty_day_wait_within_a_second(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY), email("never")])
    await asyncio.sleep(0.3)
    await run.signal("event", clicked("goal"))
    result = await run.result()
    assert (result.status, result.reason) == ("converted", "goal")
    assert await lasted(run) < timedelta(seconds=2)
    assert script.path == [("long", "skipped", "the run ended")]


async def test_an_exit_rule_ends_the_run_with_its_reason(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY)])
    await run.signal("event", clicked("exit:account-closed"))
    result = await run.result()
    assert (result.status, result.reason) == ("exited", "account-closed")


async def test_a_goal_cancels_the_retries_of_an_unreachable_provider(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [ApplicationError("down", type="ProviderUnavailable")]})
    tried = asyncio.Event()

    async def note_attempt(call: StepCall) -> None:
        tried.set()

    script.before_send = note_attempt
    run = await started(stack, client, script, [email("hello")])
    await tried.wait()
    await run.signal("event", clicked("goal"))
    result = await run.result()
    assert result.status == "converted"
    assert script.path == [("hello", "skipped", "the run ended")]


async def test_an_attempt_that_fails_after_the_goal_says_that_the_run_ended(
    dev_server: DevServer, stack: AsyncExitStack
) -> None:
    """It runs on the dev server, because the time-skipping one never ends such an activity."""
    client = await dev_server.connect()
    script = Script(sends={"hello": [ApplicationError("down", type="ProviderUnavailable")]})
    tried, told = asyncio.Event(), asyncio.Event()

    async def hang(call: StepCall) -> None:
        tried.set()
        await told.wait()

    script.before_send = hang
    run = await started(stack, client, script, [email("hello")])
    await tried.wait()
    await run.signal("event", clicked("goal"))
    while not await cancel_requested(run):
        await asyncio.sleep(0.05)
    told.set()
    assert (await run.result()).status == "converted"
    assert script.path == [("hello", "skipped", "the run ended")]


async def cancel_requested(run: WorkflowHandle[Any, Any]) -> bool:
    """Whether the run has requested the cancellation of its activity."""
    asked = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
    return any(event.event_type == asked for event in (await run.fetch_history()).events)


async def test_repeated_and_odd_signals_are_counted_and_change_nothing(client: Client, stack: AsyncExitStack) -> None:
    run = await started(stack, client, Script(), [Wait(step="pause", seconds=DAY)])
    for _ in range(3):
        await run.signal("event", clicked("step:click"))
    await run.signal("event", "not an event")
    await run.signal("nobody-knows-this", 1)
    result = await run.result()
    assert result.status == "completed"
    assert result.dropped == {"duplicate": 2, "malformed signal": 1, "unknown signal": 1}


async def test_an_event_matched_for_an_earlier_enrolment_of_the_same_contact_is_not_taken_for_this_one(
    client: Client, stack: AsyncExitStack
) -> None:
    run = await started(stack, client, Script(), [Wait(step="pause", seconds=DAY)])
    await run.signal("event", clicked("goal").model_copy(update={"enrollment_id": "an-earlier-one"}))
    result = await run.result()
    assert (result.status, result.dropped) == ("completed", {"for another enrollment": 1})


@pytest.mark.parametrize("outcome", ["skipped", "failed"])
async def test_a_message_that_is_not_sent_does_not_stop_the_track(
    client: Client, stack: AsyncExitStack, outcome: str
) -> None:
    script = Script(sends={"hello": [SendResult(outcome=outcome, reason="suppressed")]})
    run = await started(stack, client, script, [email("hello"), email("again")])
    result = await run.result()
    assert result.sent == {"email": 1}
    assert script.path == [("hello", outcome, "suppressed"), ("again", "sent", "")]


async def test_a_provider_that_stays_down_fails_the_step_not_the_run(client: Client, stack: AsyncExitStack) -> None:
    down = ApplicationError("down", type="ProviderUnavailable", next_retry_delay=timedelta(hours=20))
    script = Script(sends={"hello": [down]})
    run = await started(stack, client, script, [email("hello"), email("again")])
    await run.result()
    assert script.path == [("hello", "failed", "ProviderUnavailable"), ("again", "sent", "")]


@pytest.mark.parametrize(
    ("reason", "ending"), [("ended", ("exited", "no longer enrolled")), ("goal", ("converted", "goal"))]
)
async def test_the_books_say_that_the_enrolment_is_over_and_the_run_stops(
    client: Client, stack: AsyncExitStack, reason: str, ending: tuple[str, str]
) -> None:
    script = Script(sends={"hello": [SendResult(outcome="ended", reason=reason)]})
    run = await started(stack, client, script, [email("hello"), email("again")])
    result = await run.result()
    assert (result.status, result.reason) == ending
    assert len(script.calls) == 1


async def test_an_erased_contact_ends_the_run(client: Client, stack: AsyncExitStack) -> None:
    run = await started(stack, client, Script(), [Wait(step="long", seconds=30 * DAY)])
    await run.signal("end", EndSignal(reason="erased"))
    assert (await run.result()).reason == "erased"


async def test_a_cancelled_run_still_closes_its_books(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY)])
    await asyncio.sleep(0.3)
    await run.cancel()
    assert (await run.result()).reason == "cancelled by an operator"
    assert [call.reason for call in script.closed] == ["cancelled by an operator"]
