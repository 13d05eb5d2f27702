"""What happens to a recorded run meanwhile: signals and commands."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from tracks.runs.run_interface import AttributesChanged, EventSignal, RunResult

Handle = WorkflowHandle[Any, RunResult]


async def nobody(_run: Handle) -> None:
    """The contact stays silent."""


def _event(*matches: str, **properties: str) -> EventSignal:
    return EventSignal(
        event_id="e-" + "-".join(matches), name="clicked", at=datetime.now(UTC), matches=matches, properties=properties
    )


async def click(run: Handle) -> None:
    await run.signal("event", _event("step:click", link="pricing"))


async def click_by_a_slow_clock(run: Handle) -> None:
    await asyncio.sleep(0.3)
    early = datetime.now(UTC) - timedelta(seconds=2)
    await run.signal("event", _event("step:click").model_copy(update={"at": early}))


async def click_with_a_date(run: Handle) -> None:
    await run.signal("event", _event("step:click", since="2026-01-31"))


async def reach_goal(run: Handle) -> None:
    await asyncio.sleep(0.3)
    await run.signal("event", _event("goal"))


async def move_date(run: Handle) -> None:
    await asyncio.sleep(0.3)
    await run.signal("attributes_changed", AttributesChanged(change_id="a-1", names=("renewal",)))


async def cancel(run: Handle) -> None:
    await asyncio.sleep(0.3)
    await run.cancel()


async def odd_signals(run: Handle) -> None:
    await run.signal("event", "malformed")
    await run.signal("unheard-of")


async def skip_wait(run: Handle) -> None:
    await asyncio.sleep(0.3)
    await run.execute_update("skip_wait")


async def three_at_once(run: Handle) -> None:
    await asyncio.sleep(0.3)
    at = datetime.now(UTC)
    for number in range(3):
        event = EventSignal(event_id=f"e-{number}", name="viewed", at=at, matches=("step:view", "step:once"))
        await run.signal("event", event)


async def tell_much(run: Handle) -> None:
    await asyncio.sleep(0.3)
    for number in range(40):
        event = EventSignal(event_id=f"e-{number}", name="viewed", at=datetime.now(UTC), matches=("step:view",))
        await run.signal("event", event)


async def meet_condition(run: Handle) -> None:
    await asyncio.sleep(0.3)
    await run.signal("attributes_changed", AttributesChanged(change_id="a-1", names=(), met="team/1"))
