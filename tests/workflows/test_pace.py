"""The clock of a paced run jumps from the time at which a step was due to the next, however long the steps take."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.contract import ResolvedWait, ResolveWaitCall, SendResult, StepCall
from tests.workflows.program_parts import DAY, email
from tests.workflows.scripted import SENT, Script, lasted, started
from tracks.runs.program import Exit, Wait, WaitDate, WaitFor
from tracks.runs.run_interface import EventSignal
from tracks.shared.run_clock import Clock


def second(count: float) -> timedelta:
    return timedelta(seconds=count)


class Slow(Script):
    """A script with slow messages."""

    def __init__(self, **more: Any) -> None:
        super().__init__(at_once=True, before_send=self._slowly, **more)

    async def _slowly(self, _call: StepCall) -> None:
        await asyncio.sleep(0.1)

    def due(self, origin: datetime) -> list[tuple[str, float]]:
        """Each attempt of a message with its time, in seconds after the beginning."""
        return [(call.step, (call.due - origin).total_seconds()) for call in self.calls if call.due]


@pytest.fixture
async def origin(temporal_env: WorkflowEnvironment) -> datetime:
    return await temporal_env.get_current_time()


@pytest.mark.parametrize("continue_after", [2000, 5], ids=["in-one-run", "continued-as-new"])
async def test_what_a_step_takes_and_a_provider_and_an_operator_is_no_time_of_the_run(
    client: Client, stack: AsyncExitStack, origin: datetime, continue_after: int
) -> None:
    """A deferred message is due at its new time; a message with an unknown outcome stays due at its old time."""
    script = Slow(
        sends={
            "put-off": [SendResult(outcome="deferred", reason="quiet hours", until=origin + second(2.25)), SENT],
            "unknown": [SendResult(outcome="unknown", message_id="m"), SENT],
        },
        reconciles=[SendResult(outcome="deferred", reason="resend", until=origin + second(60))],
    )
    day = [Wait(step=f"day-{number}", seconds=DAY) for number in range(4)]
    code = [day[0], email("first"), day[1], email("put-off"), day[2], email("unknown"), day[3], email("last")]
    clock = Clock.of(origin, DAY)
    run = await started(stack, client, script, code, clock=clock, continue_after=continue_after)
    await run.result()
    expected = [("first", 1.0), ("put-off", 2.0), ("put-off", 2.25), ("unknown", 3.25), ("unknown", 3.25)]
    assert script.due(origin) == [*expected, ("last", 4.25)]
    [closed] = script.closed
    assert {entry.at - origin for entry in closed.path if entry.step == "last"} == {timedelta(days=4.25)}


async def test_whoever_is_to_react_has_the_whole_time_and_what_follows_is_due_as_if_nothing_had_taken_any(
    client: Client, stack: AsyncExitStack, origin: datetime, temporal_env: WorkflowEnvironment
) -> None:
    ask = WaitFor(step="ask", event="said", seconds=DAY, since="first", timeout=4)
    script = Slow(moments=[ResolvedWait(outcome="missing")])
    code = [
        email("first"),
        ask,
        email("heard"),
        Exit(step="over"),
        email("silent"),
        WaitFor(step="again", event="said", seconds=DAY, timeout=7),
        email("heard-after-all"),
        WaitDate(step="date", missing=8, past=8),
    ]
    run = await started(stack, client, script, code, clock=Clock.of(origin, DAY))
    while [call.step for call in script.calls] != ["first", "silent"]:
        await temporal_env.sleep(0.5)
    at = await temporal_env.get_current_time()
    await run.signal("event", EventSignal(event_id="late", name="said", at=at, matches=("step:again",)))
    await run.result()
    steps, (first, silent, heard) = zip(*script.due(origin), strict=True)
    assert (steps, first, silent) == (("first", "silent", "heard-after-all"), 0, 1)
    assert 1 < heard <= 2
    [asked] = [call for call in script.asked if isinstance(call, ResolveWaitCall)]
    assert asked.now - origin == second(heard) * DAY + timedelta(milliseconds=1)


async def test_a_paced_run_lives_a_day_in_a_second(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    origin = datetime.now(UTC)
    code = [Wait(step="month", seconds=30 * DAY), email("hello")]
    run = await started(stack, client, script, code, clock=Clock(origin=origin, pace=DAY))
    await run.result()
    assert timedelta(seconds=29) < await lasted(run) < timedelta(seconds=40)
    ended = script.calls[0].path[0].at
    assert timedelta(days=30) <= ended - origin < timedelta(days=40)
