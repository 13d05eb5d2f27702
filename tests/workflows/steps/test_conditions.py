"""The step that waits for a condition: what the database answers, and the signal that it holds now."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from activities.contract import AwaitConditionCall, AwaitedCondition
from tests.workflows.program_parts import DAY, email, goal
from tests.workflows.scripted import Script, in_state, lasted, started
from tracks.runs.program import Jump, Repeat, Wait, WaitCondition
from tracks.runs.run_interface import AttributesChanged

MET, WAITING = AwaitedCondition(outcome="met"), AwaitedCondition(outcome="waiting")
CODE = (WaitCondition(step="team", seconds=14 * DAY, timeout=3), email("welcome"), Jump(goto=4), email("reminder"))
Handle = WorkflowHandle[Any, Any]


def holds(met: str = "team/1") -> AttributesChanged:
    return AttributesChanged(change_id=f"c-{met}", names=(), met=met)


def looks(script: Script) -> list[tuple[int, bool]]:
    """Which occurrence the database was asked about each time, and whether it was the last time."""
    return [(call.occurrence, call.last) for call in script.asked if isinstance(call, AwaitConditionCall)]


async def test_a_condition_that_holds_already_does_not_wait(client: Client, stack: AsyncExitStack) -> None:
    script = Script(conditions=[MET])
    run = await started(stack, client, script, CODE)
    await run.result()
    assert [call.step for call in script.calls] == ["welcome"]
    assert script.path[0] == ("team", "happened", "")
    assert await lasted(run) < timedelta(minutes=1)


async def test_the_signal_that_it_holds_ends_the_wait(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, CODE)
    await in_state(run, "waiting")
    await run.signal("attributes_changed", holds())
    await run.result()
    assert [call.step for call in script.calls] == ["welcome"]
    assert looks(script) == [(1, False)]
    assert await lasted(run) < timedelta(days=1)


async def test_without_a_signal_it_looks_again_at_the_end_of_its_time(client: Client, stack: AsyncExitStack) -> None:
    script = Script(conditions=[WAITING])
    run = await started(stack, client, script, CODE)
    await run.result()
    assert [call.step for call in script.calls] == ["reminder"]
    assert script.path[0] == ("team", "timed_out", "")
    assert looks(script) == [(1, False), (1, True)]
    assert await lasted(run) >= timedelta(days=14)


async def test_a_signal_that_was_lost_is_made_good_at_the_end_of_the_time(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(conditions=[WAITING, MET])
    run = await started(stack, client, script, CODE)
    await run.result()
    assert [call.step for call in script.calls] == ["welcome"]


async def test_a_signal_about_another_wait_or_attribute_ends_nothing(client: Client, stack: AsyncExitStack) -> None:
    script = Script(conditions=[WAITING])
    run = await started(stack, client, script, CODE)
    await in_state(run, "waiting")
    await run.signal("attributes_changed", holds("team/2"))
    await run.signal("attributes_changed", AttributesChanged(change_id="c-2", names=("plan",)))
    await run.result()
    assert [call.step for call in script.calls] == ["reminder"]
    assert looks(script) == [(1, False), (1, True)]


async def test_each_round_of_a_repeat_waits_for_itself(client: Client, stack: AsyncExitStack) -> None:
    script = Script(conditions=[WAITING])
    code = [
        Repeat(step="rounds", times=2, end=4),
        WaitCondition(step="team", seconds=DAY, timeout=2),
        Wait(step="pause", seconds=DAY),
        Jump(goto=0),
    ]
    run = await started(stack, client, script, code)
    await in_state(run, "waiting")
    await run.signal("attributes_changed", holds())
    await run.result()
    outcomes = [outcome for step, outcome, _ in script.path if step == "team"]
    assert outcomes == ["happened", "timed_out"]


async def test_after_continuing_as_new_the_database_is_asked_anew(client: Client, stack: AsyncExitStack) -> None:
    script = Script(conditions=[WAITING, MET])
    code = (WaitCondition(step="team", seconds=100 * DAY, timeout=1),)
    run = await started(stack, client, script, code, continue_after=5)
    await run.result()
    assert script.path == [("team", "happened", "")]
    assert looks(script) == [(1, False), (1, False)]


@pytest.mark.parametrize("ends", ["goal", "skip", "ended"])
async def test_it_ends_with_the_run_and_by_an_operator(client: Client, stack: AsyncExitStack, ends: str) -> None:
    script = Script(conditions=[AwaitedCondition(outcome="ended") if ends == "ended" else WAITING])
    run = await started(stack, client, script, CODE)
    if ends != "ended":
        await in_state(run, "waiting")
        await (run.signal("event", goal()) if ends == "goal" else run.execute_update("skip_wait"))
    result = await run.result()
    expected = {
        "goal": ("converted", [("team", "skipped", "the run ended")]),
        "skip": ("completed", [("team", "timed_out", "by an operator"), ("reminder", "sent", "")]),
        "ended": ("exited", []),
    }
    assert (result.status, script.path) == expected[ends]
