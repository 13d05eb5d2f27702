"""A run loses nothing when it continues as new at any point, or when it is replayed from the beginning."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.workflows.program_parts import DAY, clicked, email
from tests.workflows.scripted import Script, started
from tracks.runs.program import Exit, Jump, Repeat, Wait, WaitFor
from tracks.runs.run_interface import EventSignal, Journey
from tracks.shared.run_clock import Clock


async def test_a_year_of_weeks_survives_continue_as_new_forced_early(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [
        Repeat(step="weekly", times=52, end=4),
        Wait(step="week", seconds=7 * DAY),
        email("digest"),
        Jump(goto=0),
    ]
    run = await started(stack, client, script, code, continue_after=60)
    result = await run.result()
    assert result.sent == {"email": 52}
    assert [call.occurrence for call in script.calls] == list(range(1, 53))
    assert len(script.path) == 52 * 2 + 1
    assert [detail for step, _, detail in script.path if step == "weekly"] == ["52 rounds"]
    assert (await client.get_workflow_handle(run.id).describe()).run_id != run.first_execution_run_id


async def test_a_wait_longer_than_a_slice_ends_on_time_though_it_continued_as_new_amid_it(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script()
    begun = datetime.now(UTC)
    code = [Wait(step="long", seconds=100 * DAY), email("hello")]
    run = await started(stack, client, script, code, continue_after=5, clock=Clock(origin=begun))
    await run.result()
    waited = next(entry for entry in script.calls[0].path if entry.step == "long")
    assert timedelta(days=100) <= waited.at - begun < timedelta(days=100, minutes=1)
    assert script.calls[0].occurrence == 1


async def test_events_are_not_lost_or_doubled_across_continue_as_new(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [
        Wait(step="long", seconds=70 * DAY),
        WaitFor(step="click", event="clicked", seconds=DAY, since="enrollment", timeout=4),
        email("thanks"),
        Exit(step="bye"),
        email("reminder"),
    ]
    run = await started(stack, client, script, code, continue_after=5)
    await run.signal("event", clicked("step:click"))
    result = await run.result()
    assert [call.step for call in script.calls] == ["thanks"]
    assert result.dropped == {}


def viewed(number: int, at: datetime, *steps: str) -> EventSignal:
    matches = tuple(f"step:{step}" for step in steps)
    return EventSignal(event_id=f"e-{number}", name="viewed", at=at, matches=matches)


async def test_a_run_that_is_told_very_much_in_one_wait_continues_as_new_and_is_deaf_to_nothing(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script()
    code = [
        Wait(step="long", seconds=20 * DAY),
        WaitFor(step="view", event="viewed", seconds=DAY, since="enrollment", timeout=2),
        Wait(step="end", seconds=30 * DAY),
    ]
    run = await started(stack, client, script, code, continue_after=100)
    latest = client.get_workflow_handle(run.id)
    began = await temporal_env.get_current_time()
    for batch in range(6):
        at = await temporal_env.get_current_time()
        numbers = range(batch * 50, batch * 50 + 50)
        await asyncio.gather(*(latest.signal("event", viewed(number, at, "view")) for number in numbers))
    async with asyncio.timeout(20):
        while (await latest.describe()).run_id == run.first_execution_run_id:
            await asyncio.sleep(0.05)
        journey = None
        while journey is None:  # the test server may lose a query that comes while the next run begins
            with suppress(TimeoutError):
                journey = await asyncio.wait_for(latest.query("journey", result_type=Journey), 2)
    assert (journey.step, journey.state) == ("long", "waiting")
    assert (await latest.describe()).history_length < 300
    await temporal_env.sleep(timedelta(days=21))
    journey = await latest.query("journey", result_type=Journey)
    assert journey.step == "end"
    assert [entry.outcome for entry in journey.path] == ["done", "happened"]
    assert journey.path[0].at - began < timedelta(days=20, minutes=5)
    goal = EventSignal(event_id="g", name="bought", at=await temporal_env.get_current_time(), matches=("goal",))
    await latest.signal("event", goal)
    assert (await run.result()).status == "converted"


async def test_runs_replay_without_a_cache(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [email("hello"), Wait(step="a", seconds=DAY), Wait(step="b", seconds=DAY), email("bye")]
    run = await started(stack, client, script, code, max_cached_workflows=0)
    result = await run.result()
    assert result.sent == {"email": 2}
