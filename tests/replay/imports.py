"""Imports with recorded histories, which test the determinism of `ImportContacts`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowHandle

from tests.workflows.scripted_imports import Rows
from tracks.runs import import_interface
from tracks.runs.import_interface import ImportResult

Handle = WorkflowHandle[Any, ImportResult]


async def _nobody(_rows: Rows, _run: Handle) -> None:
    """Send nothing."""


@dataclass
class ImportScenario:
    """An import, and the signals to it."""

    rows: Callable[[], Rows]
    meanwhile: Callable[[Rows, Handle], Awaitable[None]] = _nobody
    given: dict[str, Any] = field(default_factory=dict)


async def _steer(rows: Rows, run: Handle) -> None:
    await run.execute_update(import_interface.UPDATE_PAUSE)
    while rows.state != "paused":
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    await run.execute_update(import_interface.UPDATE_SET_RATE, 5)
    await run.execute_update(import_interface.UPDATE_RESUME)
    await run.signal(import_interface.SIGNAL_CHANGED)


async def _cancel(rows: Rows, run: Handle) -> None:
    while not rows.done:
        await asyncio.sleep(0.05)
    await run.cancel()


IMPORTS: dict[str, ImportScenario] = {
    "held-then-continued-as-new": ImportScenario(
        lambda: Rows(chunks=5, per_second=10, held=1), given={"continue_after": 40}
    ),
    "steered": ImportScenario(lambda: Rows(chunks=4, per_second=0.001), meanwhile=_steer),
    "import-cancelled": ImportScenario(lambda: Rows(chunks=4, per_second=0.0001), meanwhile=_cancel),
}
