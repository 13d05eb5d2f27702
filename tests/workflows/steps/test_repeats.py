"""A round of a repeat is ended by one event, and a repeat can be left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from tests.workflows.program_parts import DAY
from tests.workflows.scripted import Script, started
from tracks.runs.program import Break, Effect, Instruction, Jump, Repeat, Wait, WaitFor
from tracks.runs.run_interface import EventSignal


def viewed(number: int, at: datetime, *steps: str) -> EventSignal:
    matches = tuple(f"step:{step}" for step in steps)
    return EventSignal(event_id=f"e-{number}", name="viewed", at=at, matches=matches)


def rounds(times: int, *body: Instruction) -> list[Instruction]:
    """A repeat of these instructions, which waits for an event in each round. It is left if none comes in time."""
    return [
        Repeat(step="rounds", times=times, end=len(body) + 5),
        WaitFor(step="view", event="viewed", seconds=3 * DAY, timeout=len(body) + 3),
        *body,
        Jump(goto=0),
        Break(step="silent", repeat="rounds", goto=len(body) + 5),
        Jump(goto=0),
    ]


async def tell(env: WorkflowEnvironment, run: WorkflowHandle[Any, Any], numbers: Sequence[int], *steps: str) -> None:
    """Send several events of the same moment, a little later than now."""
    await env.sleep(timedelta(seconds=20))
    at = await env.get_current_time() - timedelta(seconds=1)
    for number in numbers:
        await run.signal("event", viewed(number, at, *steps))


async def test_one_event_ends_one_of_three_waits_in_a_row(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script()
    waits = [
        WaitFor(step="first", event="viewed", seconds=DAY, timeout=1),
        WaitFor(step="second", event="viewed", seconds=DAY, since="enrollment", timeout=2),
        WaitFor(step="third", event="viewed", seconds=DAY, timeout=3),
    ]
    run = await started(stack, client, script, waits)
    await tell(temporal_env, run, [1], "first", "second", "third")
    await run.result()
    assert [(step, outcome) for step, outcome, _ in script.path] == [
        ("first", "happened"),
        ("second", "timed_out"),
        ("third", "timed_out"),
    ]


@pytest.mark.parametrize("body", [[], [Effect(step="task", kind="crm")]], ids=["at-once", "with-an-effect"])
async def test_three_events_that_come_together_are_three_rounds(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment, body: list[Instruction]
) -> None:
    script = Script()
    run = await started(stack, client, script, rounds(1000, *body))
    await tell(temporal_env, run, [1, 2, 3], "view")
    await run.result()
    ends = [detail or outcome for step, outcome, detail in script.path if step == "view"]
    assert ends == ["e-1", "e-2", "e-3", "timed_out"]
    assert script.path[-1] == ("rounds", "done", "4 rounds")
    assert len(script.calls) == 3 * len(body)


async def test_with_a_look_back_rounds_that_take_time_count_each_event_once(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script()
    code = [
        Repeat(step="rounds", times=5, end=4),
        WaitFor(step="view", event="viewed", seconds=DAY, since="enrollment", timeout=2),
        Wait(step="second", seconds=1),
        Jump(goto=0),
    ]
    run = await started(stack, client, script, code)
    await tell(temporal_env, run, [1, 2, 3], "view")
    await run.result()
    assert [outcome for step, outcome, _ in script.path if step == "view"] == ["happened"] * 3 + ["timed_out"] * 2


async def test_an_hour_after_the_last_change_the_repeat_is_left(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script()
    code = [
        Repeat(step="changes", times=1000, end=4),
        WaitFor(step="change", event="cart.updated", seconds=3600, timeout=3),
        Jump(goto=0),
        Break(step="settled", repeat="changes", goto=4),
        Effect(step="remind", kind="email"),
    ]
    run = await started(stack, client, script, code)
    began = await temporal_env.get_current_time()
    for number in range(3):
        await temporal_env.sleep(timedelta(minutes=50))
        await run.signal("event", viewed(number, await temporal_env.get_current_time(), "change"))
    await run.result()
    ended = (await run.describe()).close_time
    assert ended is not None
    assert timedelta(minutes=210) <= ended - began < timedelta(minutes=215)
    assert [step for step, _, _ in script.path] == ["change"] * 4 + ["settled", "changes", "remind"]


async def test_a_repeat_that_was_left_begins_anew_with_all_its_rounds(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [
        Repeat(step="outer", times=2, end=6),
        Repeat(step="inner", times=3, end=5),
        Wait(step="hour", seconds=3600),
        Break(step="leave", repeat="inner", goto=5),
        Jump(goto=1),
        Jump(goto=0),
    ]
    run = await started(stack, client, script, code)
    await run.result()
    details = [(step, detail) for step, _, detail in script.path if step in ("inner", "outer")]
    assert details == [("inner", "1 rounds"), ("inner", "1 rounds"), ("outer", "2 rounds")]
