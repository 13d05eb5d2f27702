"""An outage only delays results, it does not change them: workers are down for seconds during every kind of wait.

All runs have the same outage in parallel, each with its own workers, to save time. They use the dev server, because
the time-skipping one stops its clock while a run has no worker. The limit for late is shortened.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.contract import ResolvedWait, ResolveWaitCall
from tests.conftest import DevServer
from tests.workflows.scripted import Script, lasted, runs_worker, start
from tracks.runs.program import Effect, Exit, Instruction, Repeat, Wait, WaitFor, WaitUntil
from tracks.runs.run_interface import EventSignal, RunResult
from workflows import retry_policies

pytestmark = pytest.mark.timeout(300)

DUE = 2.0
"""Seconds from a run's beginning to the end of its first wait: by then its workers are down."""
OUTAGE = 4.5
"""Seconds from a run's beginning until its workers are back."""


def second(count: float) -> timedelta:
    return timedelta(seconds=count)


class StoppableWorkers:
    """A run with a script, and workers of its own that can be stopped and started."""

    def __init__(self, client: Client, name: str, turns: asyncio.Semaphore) -> None:
        self.client, self.queue, self.script = client, f"outage-{name}", Script(at_once=True)
        self.began = datetime.now(UTC)
        self._turns = turns
        self._workers = AsyncExitStack()

    async def run(self, *code: Instruction) -> WorkflowHandle[Any, RunResult]:
        """Start a run, wait for its first wait, and stop the workers until `back` is called.

        If the machine is so busy that the wait is over by then, try again. Few runs begin at the same time, or else
        ten of them would keep one machine that busy.
        """
        while True:
            async with self._turns:
                await self._work()
                run = await self.start(*code)
                while (await run.query("journey")).get("state") != "waiting":
                    await asyncio.sleep(0.02)
                await self.away()
            if datetime.now(UTC) < self.began + second(DUE):
                return run
            with suppress(RPCError):  # the run may have ended
                await run.terminate()
            self.script = dataclasses.replace(self.script, calls=[], asked=[], closed=[])

    async def start(self, *code: Instruction) -> WorkflowHandle[Any, RunResult]:
        """Start a run, with or without workers."""
        self.began = datetime.now(UTC)
        return await start(self.client, code, queue=self.queue)

    async def back(self) -> None:
        """Start the workers at the outage's end."""
        await asyncio.sleep(max(0.0, (self.began + second(OUTAGE) - datetime.now(UTC)).total_seconds()))
        await self._work()

    async def away(self) -> None:
        """Stop the workers."""
        await self._workers.aclose()

    async def _work(self) -> None:
        self._workers = AsyncExitStack()
        await self._workers.enter_async_context(runs_worker(self.client, self.script, self.queue, strict=False))

    def event(self, name: str, at: float, *matches: str) -> EventSignal:
        """An event so many seconds after the beginning."""
        return EventSignal(event_id=name, name="used", at=self.began + second(at), matches=matches)

    @property
    def ends(self) -> list[tuple[str, str]]:
        """Each step with its outcome."""
        return [(step, outcome) for step, outcome, _ in self.script.path]


async def timers(run: WorkflowHandle[Any, Any]) -> list[datetime]:
    """The moments for which a run set its timers."""
    events = (await run.fetch_history()).events
    began = {
        event.event_id: event.event_time for event in events if event.HasField("workflow_task_started_event_attributes")
    }
    tasks = {
        event.event_id: began[event.workflow_task_completed_event_attributes.started_event_id]
        for event in events
        if event.HasField("workflow_task_completed_event_attributes")
    }
    set_ = [
        event.timer_started_event_attributes for event in events if event.HasField("timer_started_event_attributes")
    ]
    return [
        tasks[timer.workflow_task_completed_event_id].ToDatetime(UTC) + timer.start_to_fire_timeout.ToTimedelta()
        for timer in set_
    ]


Life = Callable[[StoppableWorkers], Awaitable[None]]
LIVES: list[Life] = []


def lived(life: Life) -> Life:
    """Register a scenario that the outage interrupts."""
    LIVES.append(life)
    return life


@pytest.fixture(scope="module")
def outage(dev_server: DevServer) -> dict[Life, BaseException | None]:
    """The error of each scenario, or None."""

    async def live(client: Client, life: Life, turns: asyncio.Semaphore) -> None:
        workers = StoppableWorkers(client, life.__name__, turns)
        try:
            async with asyncio.timeout(200):  # a busy machine has to try several times
                await life(workers)
        finally:
            await workers.away()

    async def live_all() -> list[BaseException | None]:
        client = await dev_server.connect()
        turns = asyncio.Semaphore(2)
        return await asyncio.gather(*(live(client, life, turns) for life in LIVES), return_exceptions=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry_policies, "LATE", second(1))
        patch.setattr(retry_policies, "LISTEN_AGAIN_AFTER", second(0.3))
        return dict(zip(LIVES, asyncio.run(live_all()), strict=True))


WAIT = Wait(step="wait", seconds=DUE)
MAIL = Effect(step="mail", kind="email")
USE = WaitFor(step="use", event="used", seconds=30, timeout=9)


async def _told_in_the_outage(workers: StoppableWorkers, *between: Instruction) -> None:
    run = await workers.run(WAIT, *between, USE, Exit(step="heard"))
    await run.signal("event", workers.event("early", DUE / 2, "step:use"))
    await workers.back()
    await run.signal("event", workers.event("due", DUE + 1, "step:use"))
    assert (await run.result()).reason == "exit"
    assert ("use", "happened", "due") in workers.script.path


@lived
async def an_event_of_the_outage_counts_for_the_wait_that_was_due_then(workers: StoppableWorkers) -> None:
    await _told_in_the_outage(workers)


@lived
async def an_event_of_the_outage_counts_for_the_wait_after_a_message_that_was_due_then(
    workers: StoppableWorkers,
) -> None:
    await _told_in_the_outage(workers, MAIL)


@lived
async def a_wait_that_ends_late_hears_first_what_was_accepted_in_time(workers: StoppableWorkers) -> None:
    """An event after its time counts for the next wait."""
    workers.script.undelivered = 2
    short = WaitFor(step="first", event="used", seconds=DUE, timeout=1)
    run = await workers.run(short, USE)
    await workers.back()
    await asyncio.sleep(0.5)
    # On a busy machine the run begins, and so its wait ends, up to DUE seconds later than it was started.
    await run.signal("event", workers.event("after", OUTAGE, "step:use", "step:first"))
    await run.signal("event", workers.event("in-time", DUE / 2, "step:first"))
    workers.script.undelivered = 0
    await run.result()
    assert workers.script.path == [("first", "happened", "in-time"), ("use", "happened", "after")]


@lived
async def a_wait_that_ends_late_goes_on_soon_where_nothing_is_on_its_way(workers: StoppableWorkers) -> None:
    run = await workers.run(WaitFor(step="use", event="used", seconds=DUE, timeout=1))
    await workers.back()
    await run.result()
    assert workers.ends == [("use", "timed_out")]
    assert await lasted(run) < second(OUTAGE + 3)


@lived
async def a_goal_of_the_outage_ends_the_run_before_its_next_step(workers: StoppableWorkers) -> None:
    workers.script.undelivered = 1
    run = await workers.run(WAIT, MAIL)
    await workers.back()
    await asyncio.sleep(0.5)
    await run.signal("event", workers.event("bought", DUE + 1, "goal"))
    assert (await run.result()).status == "converted"
    assert workers.script.calls == []


@lived
async def events_of_the_outage_are_as_many_rounds_as_they_would_have_been(workers: StoppableWorkers) -> None:
    run = await workers.run(Repeat(step="rounds", times=3, end=4), USE, MAIL, Wait(step="half", seconds=0.5))
    for number in range(3):
        await run.signal("event", workers.event(f"e-{number}", DUE + 0.1 * number, "step:use"))
    await workers.back()
    await run.result()
    assert workers.ends == [("use", "happened"), ("mail", "sent"), ("half", "done")]


@lived
async def waits_in_a_row_end_when_they_would_have_without_the_outage(workers: StoppableWorkers) -> None:
    run = await workers.run(WAIT, Wait(step="next", seconds=OUTAGE))
    await workers.back()
    await run.result()
    assert await lasted(run) >= second(DUE + OUTAGE)
    first, *others = await timers(run)
    # Read from the timers, because a busy machine ends the run later.
    assert max(others, default=first) < first + second(OUTAGE + 0.1)


@lived
async def what_follows_a_message_that_went_out_late_counts_from_then(workers: StoppableWorkers) -> None:
    run = await workers.run(WAIT, MAIL, Wait(step="next", seconds=2))
    await workers.back()
    await run.result()
    assert await lasted(run) >= second(OUTAGE + 1.5)  # the server's clock began a moment after ours


@lived
async def a_time_of_day_is_looked_for_from_the_moment_at_which_the_step_was_due(workers: StoppableWorkers) -> None:
    workers.script.moments = [ResolvedWait(outcome="missing")]
    run = await workers.run(WAIT, WaitUntil(step="monday"))
    await workers.back()
    await run.result()
    [asked] = [call for call in workers.script.asked if isinstance(call, ResolveWaitCall)]
    assert second(DUE - 0.1) < asked.now - workers.began < second(DUE + 1.5)


@lived
async def a_first_wait_counts_events_from_the_enrolment(workers: StoppableWorkers) -> None:
    run = await workers.start(USE)
    await run.signal("event", workers.event("meanwhile", 1, "step:use"))
    await workers.back()
    await run.result()
    assert workers.script.path == [("use", "happened", "meanwhile")]


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
def test_an_outage_changes_what_is_late_and_not_what_is_true(
    outage: dict[Life, BaseException | None], life: Life
) -> None:
    if (problem := outage[life]) is not None:
        raise problem
