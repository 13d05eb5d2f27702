"""`ImportContacts`: one chunk after another at the import's rate, and operators' commands."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from activities.contract import ImportProgress
from tests.workflows.scripted import lasted
from tests.workflows.scripted_imports import Rows, begun
from tracks.runs import import_interface
from tracks.runs.import_interface import ImportResult


async def until_state(run: WorkflowHandle[Any, Any], state: str) -> None:
    async with asyncio.timeout(30):
        while (await run.query(import_interface.QUERY_PROGRESS, result_type=ImportProgress)).state != state:
            await asyncio.sleep(0.02)


async def test_it_goes_no_faster_than_its_rate_and_ends_with_the_last_rows(
    client: Client, stack: AsyncExitStack
) -> None:
    rows = Rows(chunks=6, per_second=0.1)
    run = await begun(stack, client, rows)
    result = await run.result()
    assert result == ImportResult(state="completed", rows=60, outcomes={"enrolled": 60})
    assert timedelta(seconds=500) <= await lasted(run) < timedelta(seconds=600)
    assert rows.calls == 6


async def test_rows_that_give_way_are_asked_for_again(client: Client, stack: AsyncExitStack) -> None:
    rows = Rows(chunks=2, per_second=1000, held=3)
    run = await begun(stack, client, rows)
    assert (await run.result()).state == "completed"
    assert rows.calls == 5
    assert await lasted(run) >= timedelta(seconds=3)


async def test_it_continues_as_new_and_its_pace_stays(client: Client, stack: AsyncExitStack) -> None:
    rows = Rows(chunks=12, per_second=10)
    run = await begun(stack, client, rows, continue_after=40)
    assert (await run.result()).outcomes == {"enrolled": 120}
    first = client.get_workflow_handle(run.id, run_id=run.first_execution_run_id)
    history = await first.fetch_history()
    assert len(history.events) < 60
    assert rows.calls == 12


async def test_operators_pause_it_change_its_rate_resume_and_cancel_it(client: Client, stack: AsyncExitStack) -> None:
    rows = Rows(chunks=1000, per_second=0.001)
    run = await begun(stack, client, rows)
    assert await run.execute_update(import_interface.UPDATE_PAUSE) == "pause"
    await until_state(run, "paused")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update(import_interface.UPDATE_PAUSE)
    assert "the import is paused" in str(refused.value.cause)
    with pytest.raises(WorkflowUpdateFailedError):
        await run.execute_update(import_interface.UPDATE_SET_RATE, 0)
    await run.execute_update(import_interface.UPDATE_SET_RATE, 5)
    calls = rows.calls
    await run.execute_update(import_interface.UPDATE_RESUME)
    await until_state(run, "running")
    await run.execute_update(import_interface.UPDATE_CANCEL)
    assert (await run.result()).state == "cancelled"
    assert rows.said == ["pause", "rate", "resume", "cancel"]
    assert rows.per_second == 5
    assert rows.calls - calls <= 3


async def test_a_word_from_the_api_wakes_it_from_a_long_rest(client: Client, stack: AsyncExitStack) -> None:
    rows = Rows(chunks=2, per_second=0.00001)
    run = await begun(stack, client, rows)
    async with asyncio.timeout(30):
        while rows.done < 1:
            await asyncio.sleep(0.02)
    rows.state = "cancelled"
    await run.signal(import_interface.SIGNAL_CHANGED)
    assert (await run.result()).state == "cancelled"
    assert await lasted(run) < timedelta(days=1)


async def test_cancelling_the_workflow_cancels_the_import(client: Client, stack: AsyncExitStack) -> None:
    rows = Rows(chunks=2, per_second=0.00001)
    run = await begun(stack, client, rows)
    async with asyncio.timeout(30):
        while rows.done < 1:
            await asyncio.sleep(0.02)
    await run.cancel()
    assert (await run.result()).state == "cancelled"
    assert rows.said == ["cancel"]


async def test_its_details_say_in_words_how_far_it_is_and_its_history_names_nobody(
    client: Client, stack: AsyncExitStack
) -> None:
    run = await begun(stack, client, Rows(chunks=2, per_second=1000))
    await run.result()
    metadata = await run.query("__temporal_workflow_metadata")
    assert "**Import into trial**: completed, 20 of 20 rows" in str(metadata)
