"""The workflow `ImportContacts`: brings the rows of one import in at the import's rate.

The database holds the state of the import. The workflow asks an activity for the next rows at the right moment, and
passes on what operators order in Temporal UI.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field
from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import ChunkCall, ImportProgress, SteerCall
    from tracks.runs.import_interface import (
        ENDED,
        MAX_RATE,
        QUERY_PROGRESS,
        SIGNAL_CHANGED,
        UPDATE_CANCEL,
        UPDATE_PAUSE,
        UPDATE_RESUME,
        UPDATE_SET_RATE,
        WORKFLOW_TYPE,
        ImportInput,
        ImportResult,
    )

from workflows.handler_arguments import NOTHING, demand
from workflows.retry_policies import WAIT_SLICE

ATTEMPT_LIMIT = timedelta(seconds=30)
"""The limit of one chunk: at most ten seconds of waiting for other work, and a transaction. If a worker is killed
meanwhile, Temporal notices after this time."""
AGAIN = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
)
HELD_PAUSE = timedelta(seconds=1)
"""The pause after a chunk that was held back for other work. The activity itself waits first, so this is rare."""
SHORTEST_TIMER = timedelta(milliseconds=50)
"""A shorter pause is left out: no timer is started for it."""
Rate = Annotated[float, Field(strict=True, gt=0, le=MAX_RATE)]
RATE_WANTED = f"rows a second, more than 0 and at most {MAX_RATE}"
_STATE = SearchAttributeKey.for_keyword("State")


@workflow.defn(name=WORKFLOW_TYPE)
class ImportContacts:
    """Applies one import chunk by chunk, no faster than its rate."""

    @workflow.init
    def __init__(self, given: ImportInput) -> None:
        self._given = given
        self._orders: deque[SteerCall] = deque()
        self._changed = False
        self._next: datetime | None = None
        self._progress = ImportProgress(state="running")

    @workflow.run
    async def run(self, given: ImportInput) -> ImportResult:
        """Ask for chunks until the import has ended; answers how it ended."""
        try:
            progress = await self._apply_chunks(given)
        except asyncio.CancelledError:
            # An operator who cancels the workflow wants the import cancelled.
            order = SteerCall(import_id=given.import_id, word="cancel")
            progress = await asyncio.shield(self._call(contract.STEER_IMPORT, order, "an operator's cancel"))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return ImportResult(state=progress.state, rows=progress.rows, outcomes=progress.outcomes)

    async def _apply_chunks(self, given: ImportInput) -> ImportProgress:
        while True:
            self._changed = False
            if self._orders:
                await self._call(contract.STEER_IMPORT, self._orders.popleft(), "an operator's word")
                continue
            if self._outgrown():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(given)
            asked = workflow.now()
            progress = await self._call(contract.APPLY_CHUNK, ChunkCall(import_id=given.import_id), "the next rows")
            if progress.state in ENDED:
                return progress
            await self._rest(self._pause(asked, progress))

    async def _call(self, name: str, call: ChunkCall | SteerCall, summary: str) -> ImportProgress:
        """Run an activity of the import; keep and show the progress that it answers."""
        before = self._progress
        self._progress = await workflow.execute_activity(
            name,
            call,
            task_queue=contract.QUEUE_IMPORTS,
            result_type=ImportProgress,
            start_to_close_timeout=ATTEMPT_LIMIT,
            retry_policy=AGAIN,
            summary=summary,
        )
        if before.state != self._progress.state:
            workflow.upsert_search_attributes([_STATE.value_set(self._progress.state)])
        workflow.set_current_details(_describe(self._given, self._progress))
        return self._progress

    def _pause(self, asked: datetime, progress: ImportProgress) -> timedelta | None:
        """How long to wait before the next rows; None: until a signal or an update comes."""
        if progress.state == "paused":
            return None
        if progress.held:
            self._next = None
            return HELD_PAUSE
        # Measured from when these rows were due, so that the time that applying them takes does not lower the rate.
        due = max(self._next or asked, asked)
        self._next = due + timedelta(seconds=progress.applied / progress.per_second)
        return self._next - workflow.now()

    async def _rest(self, pause: timedelta | None) -> None:
        """Wait so long, or until a signal or an update comes."""

        def disturbed() -> bool:
            return self._changed or bool(self._orders)

        if pause is not None and pause < SHORTEST_TIMER:
            return
        try:
            summary = "paused" if pause is None else "the import's rate"
            await workflow.wait_condition(disturbed, timeout=pause or WAIT_SLICE, timeout_summary=summary)
        except TimeoutError:
            pass

    def _outgrown(self) -> bool:
        info = workflow.info()
        return (
            info.get_current_history_length() >= self._given.continue_after
            or info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )

    @workflow.signal(name=SIGNAL_CHANGED, description="The import was changed through the API: look at it now")
    def on_changed(self, _value: RawValue = NOTHING) -> None:
        """Look at the import again without waiting."""
        self._changed = True
        self._next = None

    @workflow.query(name=QUERY_PROGRESS, description="How far the import is")
    def progress(self) -> ImportProgress:
        """The progress as the latest activity answered it."""
        return self._progress

    def _order(self, call: SteerCall) -> str:
        self._orders.append(call)
        return call.word

    @workflow.update(name=UPDATE_PAUSE, description="Enrol nobody more until it is resumed")
    def pause(self, _value: RawValue = NOTHING) -> str:
        """Pause the import."""
        return self._order(SteerCall(import_id=self._given.import_id, word="pause"))

    @workflow.update(name=UPDATE_RESUME, description="Go on where it was")
    def resume(self, _value: RawValue = NOTHING) -> str:
        """Resume the import."""
        return self._order(SteerCall(import_id=self._given.import_id, word="resume"))

    @workflow.update(name=UPDATE_CANCEL, description="End it for good; whom it has enrolled stays enrolled")
    def cancel(self, _value: RawValue = NOTHING) -> str:
        """Cancel the import."""
        return self._order(SteerCall(import_id=self._given.import_id, word="cancel"))

    @workflow.update(name=UPDATE_SET_RATE, description=f"From the next rows on. Data: {RATE_WANTED}")
    def set_rate(self, value: RawValue = NOTHING) -> str:
        """Change the import's rate."""
        # Checked as a number only: the deployment that accepted the update may have had other limits.
        per_second: float = demand(value, float, RATE_WANTED)
        return self._order(SteerCall(import_id=self._given.import_id, word="rate", per_second=per_second))

    @pause.validator
    def _may_pause(self, _value: RawValue = NOTHING) -> None:
        self._refuse_unless("running")

    @resume.validator
    def _may_resume(self, _value: RawValue = NOTHING) -> None:
        self._refuse_unless("paused")

    @cancel.validator
    def _may_cancel(self, _value: RawValue = NOTHING) -> None:
        self._refuse_unless("running", "paused")

    @set_rate.validator
    def _may_set_rate(self, value: RawValue = NOTHING) -> None:
        self._refuse_unless("running", "paused")
        demand(value, Rate, RATE_WANTED)

    def _refuse_unless(self, *states: str) -> None:
        if self._progress.state not in states:
            raise ApplicationError(f"the import is {self._progress.state}")


def _describe(given: ImportInput, progress: ImportProgress) -> str:
    """The import's current details in Temporal UI: counts in plain words, and no personal data."""
    done = sum(progress.outcomes.values())
    lines = [f"**Import into {given.track}**: {progress.state}, {done} of {progress.rows} rows"]
    if progress.outcomes:
        lines.append(", ".join(f"{count} {what}" for what, count in sorted(progress.outcomes.items())) + ".")
    if progress.state == "running":
        lines.append(f"At most {progress.per_second:g} rows a second.")
    if progress.held:
        lines.append(f"Gives way: {progress.held} has much to do.")
    return "\n\n".join(lines)
