"""Activities with scripted results, which record the workflow's calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
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
from activities.sending.direct_send import QUEUED
from tracks.runs.program import Program
from tracks.runs.run_interface import SIGNAL_EVENT, WORKFLOW_TYPE, EventSignal, Journey, RunInput, RunResult
from tracks.shared.run_clock import Clock
from workflows.determinism_sandbox import runner
from workflows.nurture import NurtureTrack

SENT = SendResult(outcome="sent", message_id="m-1")


@dataclass
class Script:
    """Results by step (the last one repeats), and all calls."""

    at_once: bool = False
    """Whether messages are sent without their provider's queue."""
    sends: dict[str, list[SendResult | Exception]] = field(default_factory=dict)
    reconciles: list[SendResult] = field(default_factory=list)
    moments: list[ResolvedWait] = field(default_factory=list)
    conditions: list[AwaitedCondition] = field(default_factory=list)
    branches: dict[str, int | Decided] = field(default_factory=dict)
    handed_over: HandedOver | timedelta = field(default_factory=lambda: timedelta(days=2))
    """The result of `hand_over`; a span of time: sales has to answer within it."""
    settled: SettledHandoff = field(default_factory=lambda: SettledHandoff(outcome="expired"))
    calls: list[StepCall] = field(default_factory=list)
    activities: list[str] = field(default_factory=list)
    """The name of the activity of each call."""
    asked: list[ReconcileCall | ResolveWaitCall | BranchCall | AwaitConditionCall | SettleHandoffCall] = field(
        default_factory=list
    )
    closed: list[CloseCall] = field(default_factory=list)
    reported: list[ReportCall] = field(default_factory=list)
    undelivered: int = 0
    """The scripted number of pending deliveries to the run."""
    before_send: Callable[[StepCall], Awaitable[None]] | None = None

    def _next(self, answers: list[Any], default: Any) -> Any:
        if not answers:
            return default
        return answers.pop(0) if len(answers) > 1 else answers[0]

    @activity.defn(name=contract.SEND_EMAIL)
    async def send_email(self, call: StepCall) -> SendResult:
        return await self._send(call)

    @activity.defn(name=contract.SEND_SMS)
    async def send_sms(self, call: StepCall) -> SendResult:
        return await self._send(call)

    @activity.defn(name=contract.SEND_EMAIL_NOW)
    async def send_email_now(self, call: StepCall) -> SendResult:
        return await self._send(call) if self.at_once else QUEUED

    @activity.defn(name=contract.SEND_SMS_NOW)
    async def send_sms_now(self, call: StepCall) -> SendResult:
        return await self._send(call) if self.at_once else QUEUED

    def _note(self, call: StepCall) -> None:
        self.calls.append(call)
        self.activities.append(activity.info().activity_type)

    async def _send(self, call: StepCall) -> SendResult:
        self._note(call)
        if self.before_send:
            await self.before_send(call)
        answer: SendResult | Exception = self._next(self.sends.get(call.step, []), SENT)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @activity.defn(name=contract.RECONCILE_MESSAGE)
    async def reconcile_message(self, call: ReconcileCall) -> SendResult:
        self.asked.append(call)
        answer: SendResult = self._next(self.reconciles, SENT)
        return answer

    @activity.defn(name=contract.UPDATE_CRM)
    async def update_crm(self, call: StepCall) -> EffectResult:
        self._note(call)
        return EffectResult(outcome="done")

    @activity.defn(name=contract.HAND_OVER)
    async def hand_over(self, call: StepCall) -> HandedOver:
        self._note(call)
        if isinstance(self.handed_over, HandedOver):
            return self.handed_over
        return HandedOver(outcome="waiting", due=activity.info().scheduled_time + self.handed_over)

    @activity.defn(name=contract.SETTLE_HANDOFF)
    async def settle_handoff(self, call: SettleHandoffCall) -> SettledHandoff:
        self.asked.append(call)
        return self.settled

    @activity.defn(name=contract.SET_ATTRIBUTES)
    async def set_attributes(self, call: StepCall) -> EffectResult:
        self._note(call)
        return EffectResult(outcome="done")

    @activity.defn(name=contract.RESOLVE_WAIT)
    async def resolve_wait(self, call: ResolveWaitCall) -> ResolvedWait:
        self.asked.append(call)
        answer: ResolvedWait = self._next(self.moments, ResolvedWait(outcome="missing"))
        return answer

    @activity.defn(name=contract.AWAIT_CONDITION)
    async def await_condition(self, call: AwaitConditionCall) -> AwaitedCondition:
        self.asked.append(call)
        answer: AwaitedCondition = self._next(self.conditions, AwaitedCondition(outcome="waiting"))
        return answer

    @activity.defn(name=contract.DECIDE_BRANCH)
    async def decide_branch(self, call: BranchCall) -> int | Decided:
        self.asked.append(call)
        return self.branches.get(call.step, -1)

    @activity.defn(name=contract.CLOSE_RUN)
    async def close_run(self, call: CloseCall) -> None:
        self.closed.append(call)

    @activity.defn(name=contract.REPORT_PATH)
    async def report_path(self, call: ReportCall) -> None:
        self.reported.append(call)

    @activity.defn(name=contract.COUNT_UNDELIVERED)
    async def count_undelivered(self, _call: UndeliveredCall) -> int:
        return self.undelivered

    @property
    def path(self) -> list[tuple[str, str, str]]:
        """The whole reported path, in order and without repeats: step, outcome, detail."""
        calls: list[StepCall | CloseCall | ReportCall] = [*self.calls, *self.closed, *self.reported]
        entries = {entry.seq: entry for call in calls for entry in call.path}
        return [(entries[seq].step, entries[seq].outcome, entries[seq].detail) for seq in sorted(entries)]


async def started(
    stack: AsyncExitStack,
    client: Client,
    script: Script,
    code: Sequence[Any],
    *,
    max_cached_workflows: int = 1000,
    **given: Any,
) -> WorkflowHandle[Any, RunResult]:
    """A worker on every queue and one run of the program."""
    await work(stack, client, script, max_cached_workflows=max_cached_workflows)
    return await start(client, code, **given)


async def work(
    stack: AsyncExitStack, client: Client, script: Script, *, max_cached_workflows: int = 1000, strict: bool = True
) -> None:
    """Serve every queue with the script until the stack is closed. For `strict` see `workflows.determinism_sandbox`."""
    sends = [script.send_email, script.send_sms, script.reconcile_message]
    by_queue: dict[str, list[Any]] = {
        contract.QUEUE_EMAIL: sends,
        contract.QUEUE_SMS: sends,
        contract.QUEUE_CRM: [script.update_crm, script.hand_over],
    }
    for queue, activities in by_queue.items():
        await stack.enter_async_context(Worker(client, task_queue=queue, activities=activities, build_id="test"))
    worker = runs_worker(client, script, max_cached_workflows=max_cached_workflows, strict=strict)
    await stack.enter_async_context(worker)


def runs_worker(
    client: Client,
    script: Script,
    queue: str = contract.QUEUE_RUNS,
    *,
    max_cached_workflows: int = 1000,
    strict: bool = True,
) -> Worker:
    """A worker for runs and their local activities."""
    return Worker(
        client,
        task_queue=queue,
        build_id="test",
        workflows=[NurtureTrack],
        workflow_runner=runner(strict=strict),
        max_cached_workflows=max_cached_workflows,
        activities=[
            script.send_email_now,
            script.send_sms_now,
            script.set_attributes,
            script.settle_handoff,
            script.resolve_wait,
            script.await_condition,
            script.decide_branch,
            script.close_run,
            script.report_path,
            script.count_undelivered,
        ],
    )


async def start(client: Client, code: Sequence[Any], **given: Any) -> WorkflowHandle[Any, RunResult]:
    """Start a run of the program, with `goal` as its first signal if given, and Temporal's default `task_timeout`."""
    queue: str = given.pop("queue", contract.QUEUE_RUNS)
    task_timeout: timedelta | None = given.pop("task_timeout", None)
    goal: EventSignal | None = given.pop("goal", None)
    enrollment_id = str(uuid.uuid4())
    run = RunInput(
        enrollment_id=enrollment_id,
        contact_id="c-1",
        track="trial",
        version=1,
        program=Program(code=tuple(code)),
        clock=given.pop("clock", None) or Clock(origin=datetime.now(UTC)),
        **given,
    )
    return await client.start_workflow(
        WORKFLOW_TYPE,
        run,
        id=f"nurture/trial/{enrollment_id}",
        task_queue=queue,
        task_timeout=task_timeout,
        result_type=RunResult,
        start_signal=SIGNAL_EVENT if goal else None,
        start_signal_args=[goal] if goal else [],
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(SearchAttributeKey.for_keyword("Track"), "trial"),
                SearchAttributePair(SearchAttributeKey.for_int("TrackVersion"), 1),
            ]
        ),
    )


async def in_state(run: WorkflowHandle[Any, RunResult], state: str) -> Journey:
    """Where the run is, once it is in that state."""
    async with asyncio.timeout(10):
        while True:
            journey: Journey = await run.query("journey", result_type=Journey)
            if journey.state == state:
                return journey
            await asyncio.sleep(0.05)


async def lasted(handle: WorkflowHandle[Any, Any]) -> timedelta:
    """How long a closed run took, on the server's clock."""
    described = await handle.describe()
    assert described.close_time is not None
    return described.close_time - described.start_time
