"""An outage changes what is late, not what is true: runs in every kind of wait whose workers were away for seconds.

On the dev server, because the time-skipping one stops its clock while a run has no worker. What counts as late is
shortened to fit: an outage of minutes takes minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from activities.contract import ResolvedWait, ResolveWaitCall
from tests.conftest import DevServer
from tests.workflows.scripted import Script, lasted, start, work
from tracks.program import Effect, Exit, Instruction, Repeat, Wait, WaitFor, WaitUntil
from tracks.run import EventSignal, RunResult
from workflows import policies

OUTAGE = 4.0
"""Seconds that the workers are away; whatever is due then is due after one second."""


def second(count: float) -> timedelta:
    return timedelta(seconds=count)


class House:
    """A script for each run, and workers that go and come back."""

    def __init__(self, client: Client) -> None:
        self.client, self.script = client, Script()
        self.began = datetime.now(UTC)
        self._workers = AsyncExitStack()

    async def run(self, *code: Instruction) -> WorkflowHandle[Any, RunResult]:
        """Start a run, bring it to its first wait, and take the workers away until `back` is called."""
        await work(self._workers, self.client, self.script, strict=False)
        self.began = datetime.now(UTC)
        run = await start(self.client, code)
        while (await run.query("journey")).get("state") != "waiting":
            await asyncio.sleep(0.02)
        await self.away()
        return run

    async def back(self) -> None:
        """The workers come back at the outage's end."""
        await asyncio.sleep(max(0.0, (self.began + second(OUTAGE) - datetime.now(UTC)).total_seconds()))
        self._workers = AsyncExitStack()
        await work(self._workers, self.client, self.script, strict=False)

    async def away(self) -> None:
        """The workers go."""
        await self._workers.aclose()

    def event(self, name: str, at: float, *matches: str) -> EventSignal:
        """An event so many seconds after the beginning."""
        return EventSignal(event_id=name, name="used", at=self.began + second(at), matches=matches)

    @property
    def ends(self) -> list[tuple[str, str]]:
        """Each step with how it ended."""
        return [(step, outcome) for step, outcome, _ in self.script.path]


@pytest.fixture
async def house(dev_server: DevServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(policies, "LATE", second(1))
    monkeypatch.setattr(policies, "LISTEN_AGAIN_AFTER", second(0.3))
    house = House(await dev_server.connect())
    yield house
    await house.away()


WAIT = Wait(step="wait", seconds=1)
MAIL = Effect(step="mail", kind="email")
USE = WaitFor(step="use", event="used", seconds=30, timeout=9)


@pytest.mark.parametrize("between", [(), (MAIL,)], ids=["at-once", "after-a-message"])
async def test_an_event_of_the_outage_counts_for_the_wait_that_was_due_then(
    house: House, between: tuple[Instruction, ...]
) -> None:
    run = await house.run(WAIT, *between, USE, Exit(step="heard"))
    await run.signal("event", house.event("early", 0.5, "step:use"))
    await house.back()
    await run.signal("event", house.event("due", 2, "step:use"))
    assert (await run.result()).reason == "exit"
    assert ("use", "happened", "due") in house.script.path


async def test_a_wait_that_ends_late_hears_first_what_was_accepted_in_time(house: House) -> None:
    """What came after its time counts for the next wait."""
    house.script.undelivered = 2
    short = WaitFor(step="first", event="used", seconds=1.5, timeout=1)
    run = await house.run(short, USE)
    await house.back()
    await asyncio.sleep(0.5)
    await run.signal("event", house.event("after", 2.5, "step:use", "step:first"))
    await run.signal("event", house.event("in-time", 1, "step:first"))
    house.script.undelivered = 0
    await run.result()
    assert house.script.path == [("first", "happened", "in-time"), ("use", "happened", "after")]


async def test_a_wait_that_ends_late_goes_on_soon_where_nothing_is_on_its_way(house: House) -> None:
    run = await house.run(WaitFor(step="use", event="used", seconds=1, timeout=1))
    await house.back()
    await run.result()
    assert house.ends == [("use", "timed_out")]
    assert await lasted(run) < second(OUTAGE + 3)


async def test_a_goal_of_the_outage_ends_the_run_before_its_next_step(house: House) -> None:
    house.script.undelivered = 1
    run = await house.run(WAIT, Effect(step="task", kind="crm"))
    await house.back()
    await asyncio.sleep(0.5)
    await run.signal("event", house.event("bought", 2, "goal"))
    assert (await run.result()).status == "converted"
    assert house.script.calls == []


async def test_events_of_the_outage_are_as_many_rounds_as_they_would_have_been(house: House) -> None:
    run = await house.run(Repeat(step="rounds", times=3, end=4), USE, MAIL, Wait(step="half", seconds=0.5))
    for number in range(3):
        await run.signal("event", house.event(f"e-{number}", 1 + 0.1 * number, "step:use"))
    await house.back()
    await run.result()
    assert house.ends == [("use", "happened"), ("mail", "sent"), ("half", "done")]


async def test_waits_in_a_row_end_when_they_would_have_without_the_outage(house: House) -> None:
    run = await house.run(WAIT, Wait(step="next", seconds=OUTAGE))
    await house.back()
    await run.result()
    assert second(OUTAGE + 1) <= await lasted(run) < second(OUTAGE + 3.5)


async def test_what_follows_a_message_that_went_out_late_counts_from_then(house: House) -> None:
    run = await house.run(WAIT, MAIL, Wait(step="next", seconds=2))
    await house.back()
    await run.result()
    assert await lasted(run) >= second(OUTAGE + 2)


async def test_a_time_of_day_is_looked_for_from_the_moment_at_which_the_step_was_due(house: House) -> None:
    house.script.moments = [ResolvedWait(outcome="missing")]
    run = await house.run(WAIT, WaitUntil(step="monday"))
    await house.back()
    await run.result()
    [asked] = [call for call in house.script.asked if isinstance(call, ResolveWaitCall)]
    assert second(0.9) < asked.now - house.began < second(1.9)


async def test_a_first_wait_counts_events_from_the_enrolment(house: House) -> None:
    house.began = datetime.now(UTC)
    run = await start(house.client, [USE])
    await run.signal("event", house.event("meanwhile", 1, "step:use"))
    await house.back()
    await run.result()
    assert house.script.path == [("use", "happened", "meanwhile")]
