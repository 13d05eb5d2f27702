"""No update and no signal can break a run: bad updates are refused, bad signals are counted (law 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tests.workflows.scripted import Script, started
from tests.workflows.scripted_imports import Rows, begun
from tracks.runs import import_interface, run_interface
from tracks.runs.program import Wait
from tracks.runs.run_interface import Journey

UNREADABLE = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{"))
UNKNOWN = RawValue(Payload(metadata={"encoding": b"binary/of-another-company"}, data=b"\x00"))
ODD: list[Sequence[Any]] = [
    [],
    [None],
    [""],
    ["   "],
    [{}],
    [[]],
    [12],
    ["x" * 201],
    ["NUL \x00"],
    [{"decision": "perhaps"}],
    [UNREADABLE],
    [UNKNOWN],
    ["two", "values"],
    [UNREADABLE, UNKNOWN],
]
IDS = [str(args)[:30] for args in ODD]


async def failed_tasks(handle: WorkflowHandle[Any, Any]) -> int:
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    return sum(event.event_type == failed for event in (await handle.fetch_history()).events)


async def refused(handle: WorkflowHandle[Any, Any], update: str, args: Sequence[Any]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(update, args=args)
    assert isinstance(caught.value.cause, ApplicationError)
    return str(caught.value.cause.message)


async def waiting_at(handle: WorkflowHandle[Any, Any], step: str) -> None:
    async with asyncio.timeout(20):
        while True:
            journey = await handle.query("journey", result_type=Journey)
            if (journey.step, journey.state) == (step, "waiting"):
                return
            await asyncio.sleep(0.05)


async def test_an_update_says_what_it_wants_and_the_run_goes_on(client: Client, stack: AsyncExitStack) -> None:
    handle = await started(stack, client, Script(), [Wait(step="long", seconds=86400 * 20)])
    for args in ODD:
        word = await refused(handle, run_interface.UPDATE_EXIT, args)
        assert "Data must be the reason" in word or len(args) > 1
        word = await refused(handle, run_interface.UPDATE_RESOLVE_MESSAGE, args)
        assert "no message of this run is in review" in word or len(args) > 1
    assert (
        await handle.execute_update(run_interface.UPDATE_EXIT, " moved to another plan ") == " moved to another plan "
    )
    assert (await handle.result()).reason == " moved to another plan "
    assert await failed_tasks(handle) == 0


async def test_a_wait_is_skipped_whatever_data_comes_with_the_word(client: Client, stack: AsyncExitStack) -> None:
    waits = [Wait(step=f"wait-{number}", seconds=86400 * 20) for number in range(2)]
    handle = await started(stack, client, Script(), waits)
    anything: list[list[Any]] = [[None], [{}]]
    for number, args in enumerate(anything):
        await waiting_at(handle, f"wait-{number}")
        await handle.execute_update(run_interface.UPDATE_SKIP_WAIT, args=args)
    assert (await handle.result()).status == "completed"
    assert await failed_tasks(handle) == 0


@pytest.mark.parametrize("args", ODD, ids=IDS)
async def test_an_odd_signal_is_counted_and_the_run_goes_on(
    client: Client, stack: AsyncExitStack, args: Sequence[Any]
) -> None:
    handle = await started(stack, client, Script(), [Wait(step="short", seconds=60)])
    for name in (
        run_interface.SIGNAL_EVENT,
        run_interface.SIGNAL_ATTRIBUTES,
        run_interface.SIGNAL_END,
        "nobody-knows-this",
    ):
        await handle.signal(name, args=args)
    result = await handle.result()
    assert (result.status, result.dropped) == ("completed", {"malformed signal": 3, "unknown signal": 1})
    assert await failed_tasks(handle) == 0


async def test_an_import_outlives_odd_words_too(client: Client, stack: AsyncExitStack) -> None:
    handle = await begun(stack, client, Rows(chunks=5))
    for args in ODD:
        await handle.signal(import_interface.SIGNAL_CHANGED, args=args)
    wrong: list[list[Any]] = [[], [None], ["fast"], ["12"], [True], [0], [UNREADABLE]]
    for args in wrong:
        word = await refused(handle, import_interface.UPDATE_SET_RATE, args)
        assert "Data must be rows a second" in word
    await handle.result()
    assert await failed_tasks(handle) == 0
