"""What every step of a run works with: the run's input, memory and clock, and the one way to wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import UndeliveredCall
    from tracks.runs.program import WaitFor
    from tracks.runs.run_interface import Journey, RunInput
    from workflows.run.run_memory import Memory

from workflows import patches, retry_policies, search_attributes
from workflows.retry_policies import WAIT_SLICE
from workflows.run.current_details import describe
from workflows.run.local_activities import local


def nothing() -> bool:
    """The `wake` of a wait that only its deadline or the run's ending can stop."""
    return False


class Context:
    """The context of one run. Only the main method and the steps that it calls wait and act through it."""

    def __init__(self, given: RunInput) -> None:
        self.given = given
        waits = [one for one in given.program.code if isinstance(one, WaitFor)]
        self.memory = Memory(given.state, frozenset(wait.step for wait in waits if wait.since != "step"))
        if not given.state.occurrences:  # the first run: after an outage, the enrolment was a while ago
            self.memory.moment = given.clock.origin
        self.journey = Journey(step=None, state="starting")
        self.reviewing: str | None = None
        """The step whose message awaits an operator's decision."""
        self.decision: Literal["sent", "resend", "skip"] | None = None
        self.skip_wait = False

    @property
    def ending(self) -> bool:
        """Whether a goal, an exit rule or an operator has asked the run to end."""
        return self.memory.ending is not None

    def now(self) -> datetime:
        """The present moment for the run, in real time. Where the run's clock jumps: the moment its step was due."""
        moment = self.memory.moment
        return workflow.now() if moment is None or not self.given.clock.jumps else moment

    def run_now(self) -> datetime:
        """The present moment on the run's clock."""
        return self.given.clock.at(self.now())

    def show(self, step: str | None, state: str, waiting_for: str | None = None, until: datetime | None = None) -> None:
        """Refresh what the query answers and what Temporal UI shows; `until` is real time. Writes no history event."""
        shown = self.given.clock.at(until) if until else None
        self.journey = Journey(step=step, state=state, waiting_for=waiting_for, until=shown)
        workflow.set_current_details(describe(self.given, self.memory, self.journey))

    async def wait(
        self,
        step: str,
        waiting_for: str,
        deadline: datetime | None,
        wake: Callable[[], bool] = nothing,
        state: str = "waiting",
    ) -> bool:
        """Wait until `deadline` (real time; None: without an end), until the run is to end, or until `wake` is true.

        Answers whether the wait was woken before its deadline.

        The wait sleeps in slices of at most `WAIT_SLICE`. Between two of them the run can continue as new, with the
        deadline in its state: on a newer deployment, or because its history has grown long. Signals that come during
        the wait can make it long too. A wait that ends late first waits for signals that are on their way.
        """

        def woken() -> bool:
            return self.ending or wake()

        if woken():
            return True
        if deadline is not None and deadline <= workflow.now():
            return state == "waiting" and await self._listen(step, deadline, woken)
        search_attributes.show(step, state, deadline)
        self.show(step, state, waiting_for, deadline)
        while True:
            left = WAIT_SLICE if deadline is None else deadline - workflow.now()
            if left <= timedelta(0):
                assert deadline is not None
                return state == "waiting" and await self._listen(step, deadline, woken)
            try:
                await workflow.wait_condition(
                    lambda: woken() or self._told_enough(deadline),
                    timeout=min(left, WAIT_SLICE),
                    timeout_summary=f"{step}: {waiting_for}"[:200],
                )
                if woken():
                    return True
                self.memory.deadline = deadline
                self.continue_as_new()
            except TimeoutError:
                if self.outgrown():
                    self.memory.deadline = deadline
                    self.continue_as_new()

    def late(self, due: datetime) -> bool:
        """Whether what was due at this moment (real time) is more than `LATE` behind, as after an outage."""
        return workflow.now() - due > retry_policies.LATE and workflow.patched(patches.LATE_WAITS)

    def due(self) -> datetime:
        """When the step that begins was due, in real time: now, or an earlier moment if an outage delayed it.

        If the run has called an activity of an effect since its latest wait, that was done late, and the next step
        counts from now. Where the clock jumps, effects take no time.
        """
        if self.given.clock.jumps:
            return self.now()
        moment, now = self.memory.moment, workflow.now()
        return moment if moment is not None and not self.memory.acted and self.late(moment) else now

    async def _listen(self, step: str, deadline: datetime, woken: Callable[[], bool]) -> bool:
        """After a wait that ends late: wait for the signals that are on their way. Answers whether one woke the wait.

        An event that was accepted while Temporal or the workers were away reaches the run after its timer.
        """
        if not self.late(deadline):
            return False
        until = workflow.now() + retry_policies.LISTEN_FOR
        question = UndeliveredCall(enrollment_id=self.given.enrollment_id)
        self.show(step, "waiting", "what was told to it meanwhile", until)
        waiting = 1
        while waiting and workflow.now() < until:
            waiting = await local(contract.COUNT_UNDELIVERED, question, int, summary=f"{step}: what is on its way?")
            # Also where the answer is none: a signal that was just delivered comes with the next workflow task.
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    woken, timeout=retry_policies.LISTEN_AGAIN_AFTER, timeout_summary="listening"
                )
                return True
        return False

    def _told_enough(self, deadline: datetime | None) -> bool:
        """Whether signals have made the history long during a wait that goes on."""
        info = workflow.info()
        return (
            (info.get_current_history_length() >= self.given.continue_after or info.is_continue_as_new_suggested())
            and (deadline is None or workflow.now() < deadline)
            and workflow.patched(patches.TOLD_ENOUGH)
        )

    def carried(self) -> datetime | None:
        """The deadline of a wait that the run before began; None on every later call."""
        carried, self.memory.deadline = self.memory.deadline, None
        return carried

    def outgrown(self) -> bool:
        """Whether to continue as new: the history is long enough, or there is a newer deployment."""
        info = workflow.info()
        return (
            info.get_current_history_length() >= self.given.continue_after
            or info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
        )

    def continue_as_new(self) -> None:
        """Go on in a new run; on versioned workers, in the newest deployment."""
        options: dict[str, Any] = {}
        if workflow.info().is_target_worker_deployment_version_changed():
            options["initial_versioning_behavior"] = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        workflow.continue_as_new(self.given.model_copy(update={"state": self.memory.dump()}), **options)

    def record(self, step: str, kind: str, outcome: str, detail: str = "") -> None:
        """Record that a step is over."""
        self.memory.record(step, kind, outcome, self.run_now(), detail)
