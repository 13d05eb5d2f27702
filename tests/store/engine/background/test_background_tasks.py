from __future__ import annotations

import asyncio

import pytest

from store.engine.background import background_tasks


async def test_a_loop_that_takes_its_cancellation_for_an_error_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_tasks, "AGAIN", 0.01)
    outlived = 0

    async def stubborn() -> None:
        nonlocal outlived
        while outlived < 3:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                outlived += 1
        await asyncio.sleep(3600)

    async def failing() -> None:
        raise OSError

    over = [asyncio.create_task(stubborn()), asyncio.create_task(failing()), asyncio.create_task(asyncio.sleep(3600))]
    await asyncio.sleep(0)
    await background_tasks.ended(*over)
    assert outlived == 3
    assert [task.done() for task in over] == [True] * 3
