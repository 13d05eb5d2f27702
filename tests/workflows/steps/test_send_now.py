"""Messages sent without their provider's queue, on the time-skipping server."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities.contract import SendResult, StepCall
from tests.conftest import DevServer
from tests.workflows.scripted import SENT, Script, started
from tracks.runs.program import Effect
from tracks.runs.run_interface import RunResult

HELLO = Effect(step="hello", kind="email")
ELSEWHERE = SendResult(outcome="elsewhere", channel="sms")
UNKNOWN = SendResult(outcome="unknown", message_id="m-1")


async def events(run: WorkflowHandle[object, RunResult], kind: EventType.ValueType) -> int:
    return sum(event.event_type == kind for event in (await run.fetch_history()).events)


async def test_a_message_costs_one_event_where_the_lane_is_open(client: Client, stack: AsyncExitStack) -> None:
    script = Script(at_once=True)
    run = await started(stack, client, script, [HELLO])
    assert (await run.result()).sent == {"email": 1}
    assert script.activities == ["send_email_now"]
    assert await events(run, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED) == 0
    assert script.path == [("hello", "sent", "")]


async def test_it_stands_in_its_queue_where_the_lane_is_shut(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [HELLO])
    assert (await run.result()).sent == {"email": 1}
    assert script.activities == ["send_email"]
    assert script.path == [("hello", "sent", "")]


@pytest.mark.parametrize(
    "failure",
    [
        ApplicationError("down", type="ProviderUnavailable"),
        ApplicationError("later", type="ProviderThrottled", next_retry_delay=timedelta(days=1)),
        ApplicationError("never", type="OperationalError", non_retryable=True),
        ValueError("a bug"),
    ],
    ids=str,
)
async def test_whatever_fails_at_once_is_tried_from_the_queue(
    client: Client, stack: AsyncExitStack, failure: Exception
) -> None:
    script = Script(at_once=True, sends={"hello": [failure, SENT]})
    run = await started(stack, client, script, [HELLO])
    assert (await run.result()).sent == {"email": 1}
    assert script.activities == ["send_email_now", "send_email"]


async def test_the_better_channel_is_tried_at_once_as_well(client: Client, stack: AsyncExitStack) -> None:
    script = Script(at_once=True, sends={"nudge": [ELSEWHERE, SENT]})
    run = await started(stack, client, script, [Effect(step="nudge", kind="send", channels=("email", "sms"))])
    assert (await run.result()).sent == {"sms": 1}
    assert script.activities == ["send_email_now", "send_sms_now"]


async def test_one_that_nobody_knows_the_end_of_is_reconciled(client: Client, stack: AsyncExitStack) -> None:
    script = Script(at_once=True, sends={"hello": [UNKNOWN]})
    run = await started(stack, client, script, [HELLO])
    await run.result()
    assert script.path == [("hello", "unknown", "being reconciled"), ("hello", "sent", "")]
    assert len(script.asked) == 1


async def test_a_run_that_is_cancelled_meanwhile_ends_after_the_message(
    dev_server: DevServer, stack: AsyncExitStack
) -> None:
    """The run's task sends a heartbeat every 4 s during a slow message, and so learns of the cancellation."""
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_call: StepCall) -> None:
        under_way.set()
        await go_on.wait()

    script = Script(at_once=True, before_send=slow)
    client = await dev_server.connect()
    run = await started(stack, client, script, [HELLO], task_timeout=timedelta(seconds=5))
    await under_way.wait()
    await run.cancel()
    await asyncio.sleep(4.5)  # a busy machine may be a second late with the heartbeat
    assert script.closed == []
    go_on.set()
    assert (await run.result()).reason == "cancelled by an operator"
    assert script.activities == ["send_email_now"]
    assert len(script.closed) == 1
