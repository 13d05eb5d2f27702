"""Loops beside other work, and ending tasks that may be in the midst of a call to the database."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

AGAIN = 1.0
"""Seconds until a task that goes on is cancelled once more."""


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these tasks until all of them are over; what they raised is of no interest any more.

    Once may not be enough: where a cancellation meets a connection that breaks, the driver's error takes its place, and
    a loop that outlives errors of the database goes on.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # else it would be reported as never retrieved


class Beside(ABC):
    """A loop that runs while the block is open."""

    _main: asyncio.Task[None] | None = None

    @abstractmethod
    async def _run(self) -> None:
        """The loop; it sees to its own errors."""

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._main is not None:
            await ended(self._main)
