"""The workflow `NurtureTrack`: one run for each enrolment.

The handlers of signals and updates only check, find duplicates and remember. The main method does everything else.

A strict sandbox loads this module for every run. Temporal reads the annotations each time, and half of the loading time
went into evaluating them as texts. So the module does not import `annotations` from `__future__`.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import CloseCall, ReportCall
    from tracks.runs.run_interface import (
        QUERY_JOURNEY,
        SIGNAL_ATTRIBUTES,
        SIGNAL_END,
        SIGNAL_EVENT,
        UPDATE_EXIT,
        UPDATE_RESOLVE_MESSAGE,
        UPDATE_SKIP_WAIT,
        WORKFLOW_TYPE,
        AttributesChanged,
        EndSignal,
        EventSignal,
        Journey,
        ResolveMessage,
        RunInput,
        RunResult,
    )

from workflows import patches, retry_policies
from workflows.handler_arguments import NOTHING, Reason, demand
from workflows.run.local_activities import local
from workflows.run.run_context import Context
from workflows.steps.interpreter import execute

Signal = TypeVar("Signal", EventSignal, AttributesChanged, EndSignal)
REASON_WANTED = 'the reason as a text of at most 200 characters, in quotes, such as "moved to another plan"'
DECISION_WANTED = '{"decision": "sent"}, {"decision": "resend"} or {"decision": "skip"}'


@workflow.defn(name=WORKFLOW_TYPE)
class NurtureTrack:
    """Takes one contact through one version of one track."""

    @workflow.init
    def __init__(self, given: RunInput) -> None:
        self._ctx = Context(given)

    @workflow.run
    async def run(self, given: RunInput) -> RunResult:
        """Interpret the program until it ends, and record the end in the database."""
        ctx, memory, code = self._ctx, self._ctx.memory, given.program.code
        try:
            while memory.pc < len(code) and (memory.amid or not ctx.ending):
                if not memory.amid and ctx.outgrown():
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    ctx.continue_as_new()
                memory.pc = await execute(ctx, code[memory.pc])
                if len(memory.unreported) >= retry_policies.PATH_LIMIT and workflow.patched(patches.REPORT_PATH):
                    await self._report()
        except asyncio.CancelledError:
            # An operator cancelled the workflow. The enrolment ends like any other, and its end is recorded.
            memory.end("exited", "cancelled by an operator")
        return await self._close()

    async def _report(self) -> None:
        """Write the path to the database where no activity has taken it there for long, so that it does not grow on."""
        memory = self._ctx.memory
        path = tuple(memory.unreported)
        await local(contract.REPORT_PATH, ReportCall(enrollment_id=self._ctx.given.enrollment_id, path=path))
        memory.reported(path)

    async def _close(self) -> RunResult:
        """Record in the database how the run ended; answers the same."""
        ctx, memory = self._ctx, self._ctx.memory
        status, reason = memory.ending or ("completed", "all steps done")
        ctx.show(None, status, reason)
        call = CloseCall(
            enrollment_id=ctx.given.enrollment_id,
            status=status,
            reason=reason,
            clock=ctx.given.clock,
            at=ctx.given.clock.at(workflow.now()),
            path=tuple(memory.unreported),
            counts={"sent": memory.sent, "messages": memory.messages, "dropped": memory.dropped},
        )
        await asyncio.shield(local(contract.CLOSE_RUN, call))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return RunResult(
            status=status, reason=reason, sent=memory.sent, messages=memory.messages, dropped=memory.dropped
        )

    def _read(self, value: RawValue, model: type[Signal]) -> Signal | None:
        """The signal, or None if it is malformed or for another enrolment. Such signals are counted and raise nothing.

        That is law 12: a bad signal must not stop a run.
        """
        try:
            signal = workflow.payload_converter().from_payload(value.payload, model)
            if not isinstance(signal, model):  # the converter reads a null as None, whatever the model
                raise TypeError
        except Exception:
            self._ctx.memory.drop("malformed signal")
            return None
        if signal.enrollment_id not in ("", self._ctx.given.enrollment_id):
            self._ctx.memory.drop("for another enrollment")
            return None
        return signal

    @workflow.signal(name=SIGNAL_EVENT, description="An event of this contact that the track reacts to")
    def on_event(self, value: RawValue = NOTHING) -> None:
        """Remember what the contact did."""
        if signal := self._read(value, EventSignal):
            self._ctx.memory.take_event(signal, workflow.now())

    @workflow.signal(name=SIGNAL_ATTRIBUTES, description="What a wait reads of the contact has changed")
    def on_attributes_changed(self, value: RawValue = NOTHING) -> None:
        """Let a wait for a date compute its moment again, or end a wait for a condition."""
        signal = self._read(value, AttributesChanged)
        if signal and self._ctx.memory.first_time(signal.change_id):
            self._ctx.memory.changed.update(signal.names)
            if signal.met:
                self._ctx.memory.met.add(signal.met)

    @workflow.signal(name=SIGNAL_END, description="End this run: the contact was erased or taken out")
    def on_end(self, value: RawValue = NOTHING) -> None:
        """End the run."""
        if signal := self._read(value, EndSignal):
            self._ctx.memory.end("exited", signal.reason)

    @workflow.signal(dynamic=True)
    def on_unknown(self, name: str, _args: Sequence[RawValue]) -> None:
        """Count a signal that no handler is defined for."""
        self._ctx.memory.drop("unknown signal")

    @workflow.query(name=QUERY_JOURNEY, description="Where the contact is and what it waits for")
    def journey(self) -> Journey:
        """Where the run is now, with the path entries that the database may not hold yet."""
        memory = self._ctx.memory
        return self._ctx.journey.model_copy(update={"path": tuple(memory.unreported), "dropped": dict(memory.dropped)})

    @workflow.update(
        name=UPDATE_RESOLVE_MESSAGE, description=f"Decide the message that is in review. Data: {DECISION_WANTED}"
    )
    def resolve_message(self, value: RawValue = NOTHING) -> str:
        """Settle the message that waits for review; answers its step."""
        word: ResolveMessage = demand(value, ResolveMessage, DECISION_WANTED)
        self._ctx.decision = word.decision
        return self._ctx.reviewing or ""

    @resolve_message.validator
    def _in_review(self, value: RawValue = NOTHING) -> None:
        if self._ctx.reviewing is None:
            raise ApplicationError("no message of this run is in review")
        demand(value, ResolveMessage, DECISION_WANTED)

    @workflow.update(
        name=UPDATE_SKIP_WAIT, description="End the wait in progress now; the run goes on. Data: leave it empty"
    )
    def skip_wait(self, _value: RawValue = NOTHING) -> str:
        """Skip the wait; answers its step."""
        self._ctx.skip_wait = True
        return self._ctx.journey.step or ""

    @skip_wait.validator
    def _is_waiting(self, _value: RawValue = NOTHING) -> None:
        if self._ctx.journey.state != "waiting":
            raise ApplicationError(f"the run is not waiting: it is {self._ctx.journey.state}")

    @workflow.update(name=UPDATE_EXIT, description=f"End this run now, with a reason. Data: {REASON_WANTED}")
    def end_now(self, value: RawValue = NOTHING) -> str:
        """End the run because an operator asks for it; answers the reason."""
        # Checked as a text only: the deployment that accepted the update may have had other limits.
        reason: str = demand(value, str, REASON_WANTED)
        self._ctx.memory.end("exited", reason)
        return reason

    @end_now.validator
    def _has_a_reason(self, value: RawValue = NOTHING) -> None:
        demand(value, Reason, REASON_WANTED)
