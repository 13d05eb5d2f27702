"""What Temporal knows about runs: lists from visibility, in pages, and one run in detail, without its worker.

The SDK's own lists raise if any run is paused, so this file calls the service directly.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, PendingActivityState, VersioningBehavior, WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.doctor.time_limits import TimeLimits
from tracks.runs.run_interface import MEMO_ENROLLMENT, WORKFLOW_TYPE, RunResult

RUNS = f"WorkflowType = '{WORKFLOW_TYPE}'"
LIVE = f"{RUNS} AND ExecutionStatus = 'Running'"
PAGE = 1000
PER_SECOND = 10.0
"""Pages a second at most. Temporal Cloud allows a namespace 30 visibility reads a second, shared with others."""
RPC_TIMEOUT = timedelta(seconds=20)
_PAUSED = 8
"""This value is missing in the SDK's enum (1.35)."""
_ENDED = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: "completed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: "failed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: "cancelled",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: "terminated",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: "timed out",
}


UNREADABLE = "unreadable"
"""Stands for the enrolment's id where the run is encrypted with a key that this process does not have."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One run as visibility lists it."""

    workflow_id: str
    enrollment_id: str
    next_action_at: datetime | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """One run in detail. `ended` says how it ended: empty while it runs, None if there is no such run.

    `trouble` is the kind of finding for a live run with a problem; `detail` says more.
    """

    ended: str | None
    enrollment_id: str = ""
    run_id: str = ""
    trouble: str = ""
    detail: str = ""
    state: str = ""
    has_task: bool = False
    """Whether a workflow task or activity task of the run is pending or running."""


class Runs:
    """Reads Temporal's runs of tracks."""

    def __init__(self, client: Client, limits: TimeLimits) -> None:
        self._client = client
        self._limits = limits
        self._last_read = 0.0

    async def listed(self, query: str, most: int | None = None) -> AsyncIterator[list[Listed]]:
        """Pages of the runs that match a visibility query, at most `most` runs in all."""
        token, seen = b"", 0
        while True:
            await self._pace()
            answer = await self._client.workflow_service.list_workflow_executions(
                ListWorkflowExecutionsRequest(
                    namespace=self._client.namespace,
                    page_size=min(PAGE, most - seen) if most else PAGE,
                    next_page_token=token,
                    query=query,
                ),
                retry=True,
                timeout=RPC_TIMEOUT,
            )
            if answer.executions:
                yield [await self._listed(info) for info in answer.executions]
            token, seen = answer.next_page_token, seen + len(answer.executions)
            if not token or (most and seen >= most):
                return

    async def count(self, query: str) -> int:
        """How many runs match."""
        await self._pace()
        request = CountWorkflowExecutionsRequest(namespace=self._client.namespace, query=query)
        answer = await self._client.workflow_service.count_workflow_executions(request, retry=True, timeout=RPC_TIMEOUT)
        return answer.count

    async def failing(self, most: int) -> list[Listed]:
        """Runs whose workflow tasks the server reports as failing. A server too old to report them gives none."""
        try:
            return [
                run
                async for page in self.listed(f"{LIVE} AND TemporalReportedProblems IS NOT NULL", most)
                for run in page
            ]
        except RPCError as error:
            if error.status == RPCStatusCode.INVALID_ARGUMENT:
                return []
            raise

    async def look(self, workflow_id: str, *, tasks_only: bool = False) -> Look:
        """The newest run with that workflow id, and what is wrong with it.

        With `tasks_only` the history is not read: only whether a worker takes up the pending tasks.
        """
        for _ in range(3):
            try:
                found = await self._describe(workflow_id)
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return Look(ended=None)
                raise
            info = found.workflow_execution_info
            enrollment_id = await self._memo(info)
            if info.status in _ENDED:
                return Look(_ENDED[info.status], enrollment_id, info.execution.run_id)
            state = _keyword(info, "State")
            trouble = self._pending(found)
            if trouble is None:
                trouble = ("", "") if tasks_only else await self._timers(info.execution)
            if trouble is None:  # the run may have moved on between the two reads
                again = await self._describe(workflow_id)
                if again.workflow_execution_info.history_length != info.history_length:
                    continue
                trouble = ("holds-nothing", f"state {state}, {info.history_length} events")
            has_task = found.HasField("pending_workflow_task")
            return Look("", enrollment_id, info.execution.run_id, *trouble, state, has_task)
        return Look("", enrollment_id, info.execution.run_id, state=state)  # the run moves on: nothing is wrong

    async def result(self, workflow_id: str, run_id: str) -> RunResult | None:
        """The result of a completed run; None if it is not a result of ours."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id, result_type=RunResult)
        try:
            result: RunResult = await handle.result(follow_runs=False)
            return result
        except Exception:  # whatever the payload is, it is no result of ours
            return None

    def _pending(self, found: DescribeWorkflowExecutionResponse) -> tuple[str, str] | None:
        """The kind and detail of what is wrong with a pending task or activity: empty texts if nothing is wrong, None
        if nothing is pending."""
        if found.workflow_execution_info.status == _PAUSED:
            return "", ""
        now = datetime.now(UTC)
        if found.HasField("pending_workflow_task"):
            task = found.pending_workflow_task
            since = _utc(task.original_scheduled_time) if task.HasField("original_scheduled_time") else now
            if task.attempt >= self._limits.failures:
                return "run-failing", f"attempt {task.attempt}"
            if now - since > self._limits.worker:
                versioning = found.workflow_execution_info.versioning_info
                pinned = versioning.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
                build = f", build {versioning.deployment_version.build_id}" if pinned else ""
                return "no-worker", f"since {since:%Y-%m-%d %H:%M:%S}{build}"
            return "", ""
        for activity in found.pending_activities:
            if late := self._late(activity, now):
                return "activity-late", late
        return ("", "") if found.pending_activities else None

    def _late(self, activity: PendingActivityInfo, now: datetime) -> str:
        """Describe an activity that has been pending for too long."""
        limit = activity.activity_options.schedule_to_close_timeout
        if activity.HasField("expiration_time") and limit.ToTimedelta():
            since = _utc(activity.expiration_time) - limit.ToTimedelta()
        else:
            since = _utc(activity.scheduled_time)
        if now - since <= self._limits.activity:
            return ""
        told = f"{activity.activity_type.name}, attempt {activity.attempt}, since {since:%Y-%m-%d %H:%M:%S}"
        if activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED and activity.attempt == 1:
            return f"{told}: no worker took it up"
        failure = activity.last_failure.application_failure_info.type
        return f"{told}: {activity.last_failure.message or failure or 'no answer'}"[:300]

    async def _timers(self, execution: WorkflowExecution) -> tuple[str, str] | None:
        """The kind and detail of what is wrong with the run's timer; None if it holds no timer."""
        open_timers: dict[int, datetime] = {}
        token = b""
        while True:
            answer = await self._client.workflow_service.get_workflow_execution_history(
                GetWorkflowExecutionHistoryRequest(
                    namespace=self._client.namespace, execution=execution, next_page_token=token
                ),
                retry=True,
                timeout=RPC_TIMEOUT,
            )
            for event in answer.history.events:
                if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
                    length = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
                    open_timers[event.event_id] = _utc(event.event_time) + length
                elif event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
                    open_timers.pop(event.timer_fired_event_attributes.started_event_id, None)
                elif event.event_type == EventType.EVENT_TYPE_TIMER_CANCELED:
                    open_timers.pop(event.timer_canceled_event_attributes.started_event_id, None)
            token = answer.next_page_token
            if not token:
                break
        if not open_timers:
            return None
        due = min(open_timers.values())
        if datetime.now(UTC) - due > self._limits.late:
            return "timer-late", f"due {due:%Y-%m-%d %H:%M:%S}"
        return "", ""

    async def _describe(self, workflow_id: str) -> DescribeWorkflowExecutionResponse:
        return await self._client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            retry=True,
            timeout=RPC_TIMEOUT,
        )

    async def _listed(self, info: WorkflowExecutionInfo) -> Listed:
        moment = info.search_attributes.indexed_fields.get("NextActionAt")
        return Listed(
            info.execution.workflow_id,
            await self._memo(info),
            datetime.fromisoformat(_json(moment)) if moment is not None and moment.data else None,
            _utc(info.start_time),
        )

    async def _memo(self, info: WorkflowExecutionInfo) -> str:
        payload = info.memo.fields.get(MEMO_ENROLLMENT)
        if payload is None:
            return ""
        try:
            return str((await self._client.data_converter.decode([payload], [str]))[0])
        except Exception:  # without the key nobody can tell whether the run is ours
            return UNREADABLE

    async def _pace(self) -> None:
        wait = self._last_read + 1 / PER_SECOND - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self._last_read = time.monotonic()


def _keyword(info: WorkflowExecutionInfo, name: str) -> str:
    payload = info.search_attributes.indexed_fields.get(name)
    return str(_json(payload)) if payload is not None and payload.data else ""


def _json(payload: Any) -> Any:
    return json.loads(payload.data)


def _utc(moment: Timestamp) -> datetime:
    return moment.ToDatetime(tzinfo=UTC)
