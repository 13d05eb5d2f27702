"""The steps that wait: for a span of time, for a date, for an event."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from temporalio.client import Client

from activities.contract import ResolvedWait, ResolveWaitCall, StepCall
from tests.workflows.program_parts import DAY, clicked, email
from tests.workflows.scripted import Script, lasted, started
from tracks.runs.program import Exit, Jump, Wait, WaitDate, WaitFor, WaitMoment
from tracks.runs.run_interface import AttributesChanged

WAIT_FOR_CLICK = (
    WaitFor(step="click", event="clicked", seconds=3 * DAY, timeout=3),
    email("thanks"),
    Jump(goto=4),
    email("reminder"),
)


async def test_an_event_in_time_takes_the_way_of_what_happened(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, WAIT_FOR_CLICK)
    await run.signal("event", clicked("step:click", at=datetime.now(UTC) + timedelta(seconds=5)))
    await run.result()
    assert [call.step for call in script.calls] == ["thanks"]


async def test_silence_takes_the_way_of_the_timeout(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, WAIT_FOR_CLICK)
    await run.result()
    assert [call.step for call in script.calls] == ["reminder"]
    assert await lasted(run) >= timedelta(days=3)


@pytest.mark.parametrize(("since", "expected"), [("step", "reminder"), ("enrollment", "thanks"), ("hello", "thanks")])
async def test_look_back_decides_whether_an_event_before_the_wait_counts(
    client: Client, stack: AsyncExitStack, since: str, expected: str
) -> None:
    script = Script()

    async def click_while_sending(call: StepCall) -> None:
        if call.step == "hello":
            await run_started.wait()
            await run.signal("event", clicked("step:click"))

    run_started = asyncio.Event()
    script.before_send = click_while_sending
    code = [
        email("hello"),
        Wait(step="pause", seconds=DAY),
        WaitFor(step="click", event="clicked", seconds=DAY, since=since, timeout=5),
        email("thanks"),
        Exit(step="bye"),
        email("reminder"),
    ]
    run = await started(stack, client, script, code)
    run_started.set()
    await run.result()
    assert [call.step for call in script.calls] == ["hello", expected]


@pytest.mark.parametrize(("behind", "expected"), [(3, "thanks"), (60, "reminder")])
async def test_an_event_told_by_a_clock_a_little_behind_ends_the_wait_that_it_came_amid(
    client: Client, stack: AsyncExitStack, behind: int, expected: str
) -> None:
    script = Script()
    run = await started(stack, client, script, WAIT_FOR_CLICK)
    await asyncio.sleep(0.3)
    await run.signal("event", clicked("step:click", at=datetime.now(UTC) - timedelta(seconds=behind)))
    await run.result()
    assert [call.step for call in script.calls] == [expected]


async def test_a_computed_length_is_asked_for_once_whatever_changes_meanwhile(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(moments=[ResolvedWait(outcome="at", at=datetime.now(UTC) + timedelta(days=20))])
    run = await started(stack, client, script, [WaitMoment(step="usage", kind="wait", missing=1, past=1)])
    await run.signal("attributes_changed", AttributesChanged(change_id="1", names=("renewal_date",)))
    await run.result()
    assert len(script.asked) == 1
    assert timedelta(days=19) < await lasted(run) < timedelta(days=21)
    assert script.path == [("usage", "done", "")]


@pytest.mark.parametrize(("outcome", "reason"), [("missing", "no length"), ("past", "day over")])
async def test_a_length_or_day_that_there_is_not_goes_the_way_the_step_names(
    client: Client, stack: AsyncExitStack, outcome: Literal["missing", "past"], reason: str
) -> None:
    script = Script(moments=[ResolvedWait(outcome=outcome)])
    code = [
        WaitMoment(step="usage", kind="wait", missing=2, past=3),
        email("now"),
        Exit(step="bye", reason="no length"),
        Exit(step="bye", reason="day over"),
    ]
    run = await started(stack, client, script, code)
    assert (await run.result()).reason == reason
    assert script.calls == []
    assert script.path[0] == ("usage", "skipped", outcome)


async def test_a_missing_date_goes_the_way_the_step_names_and_sends_nothing(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(moments=[ResolvedWait(outcome="missing")])
    code = [WaitDate(step="renewal", missing=2, past=1), email("renewal-mail"), Exit(step="bye", reason="no date")]
    run = await started(stack, client, script, code)
    result = await run.result()
    assert result.reason == "no date"
    assert script.calls == []
    assert script.path[0] == ("renewal", "skipped", "missing")


async def test_a_changed_date_moves_the_wait(client: Client, stack: AsyncExitStack) -> None:
    now = datetime.now(UTC)
    script = Script(
        moments=[
            ResolvedWait(outcome="at", at=now + timedelta(days=90)),
            ResolvedWait(outcome="at", at=now + timedelta(days=5)),
        ]
    )
    code = [WaitDate(step="renewal", missing=2, past=2), email("hello")]
    run = await started(stack, client, script, code)
    await asyncio.sleep(0.3)
    await run.signal("attributes_changed", AttributesChanged(change_id="a-1", names=("renewal_date",)))
    await run.result()
    assert timedelta(days=4) < await lasted(run) < timedelta(days=6)
    assert len([asked for asked in script.asked if isinstance(asked, ResolveWaitCall)]) == 2


async def test_an_operator_skips_a_wait(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY), email("hello")])
    await asyncio.sleep(0.3)
    assert await run.execute_update("skip_wait") == "long"
    await run.result()
    assert await lasted(run) < timedelta(days=1)
    assert script.path[0] == ("long", "skipped", "by an operator")
