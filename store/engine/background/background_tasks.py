"""Background loops, and cancelling tasks that may be in the middle of a database call."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

AGAIN = 1.0
"""Seconds until a task that is still running is cancelled again."""


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these tasks until all of them have ended; their exceptions are ignored.

    One cancellation may not be enough. If the connection breaks at that moment, the driver's error replaces the
    cancellation, and a loop that survives database errors continues.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # marks it as retrieved; otherwise asyncio would log it


class BackgroundTask(ABC):
    """A loop that runs while the block is open."""

    _main: asyncio.Task[None] | None = None

    @abstractmethod
    async def _run(self) -> None:
        """The loop; it handles its own errors."""

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._main is not None:
            await ended(self._main)
