"""The repairs that are safe. Each repair first reads the state again, may be repeated, and never sends twice.

A restarted run finds the ledger and the effects of its enrollment, so it does not repeat what was sent or done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.doctor.finding_kinds import KINDS
from api.doctor.findings import Finding, Report
from api.doctor.temporal_runs import UNREADABLE, Runs
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.operations import doctor
from store.runs import run_changes
from store.runs.enrollments import enrollments
from store.runs.outbox import refused_deliveries
from store.sending import send_outcomes
from store.sending.messages import messages
from tracks.runs.run_interface import SIGNAL_END, EndSignal, RunStatus

Lost = Literal["leave", "restart", "close"]
Word = Literal["leave", "again", "drop"]
"""What to do with deliveries that Temporal refuses for good."""
Settle = Callable[[str], Awaitable[str]]
"""Settle an `unknown` message of an ended run, by the message's id: ask the provider, else count it as sent.

Returns the message's new status. Raises if the provider cannot be asked now.
"""

TOOK_NO_MORE = "took no more signals"


@dataclass(frozen=True, slots=True)
class Repaired:
    """The result of one repair."""

    finding: Finding
    done: bool
    words: str


class Repair:
    """Repairs the findings that a report names."""

    def __init__(
        self, database: Database, client: Client, settle: Settle, lost: Lost = "leave", word: Word = "leave"
    ) -> None:
        self._database = database
        self._client = client
        self._runs = Runs(client, TimeLimits())
        self._settle = settle
        self._lost = lost
        self._word = word
        self._known: set[str] = set()

    async def all(self, report: Report) -> list[Repaired]:
        """Repair the findings in a safe order. Returns one result for every finding."""
        repairs = {  # runs first: a message is settled here only after its run has ended
            "run-ended": self._close,
            "run-lost": self._decide,
            "lost-start": self._start,
            "run-deaf": self._tell,
            "run-unended": self._end,
            "run-full": self._give_up,
            "delivery-refused": self._set_aside,
            "outbox-late": self._hurry,
            "message-stuck": self._finish,
        }
        answers = []
        for kind in (*repairs, *(kind for kind in KINDS if kind not in repairs)):
            for finding in report.of(kind):
                repair = repairs.get(kind)
                if repair is None:
                    answers.append(Repaired(finding, False, "left to you"))
                    continue
                try:
                    answers.append(await repair(finding))
                except Exception as error:  # a failed repair must not stop the others (law 12)
                    answers.append(Repaired(finding, False, f"could not be repaired now: {type(error).__name__}"))
        return answers

    async def _close(self, finding: Finding) -> Repaired:
        look = await self._runs.look(finding.workflow_id)
        if not look.ended or look.enrollment_id != finding.enrollment_id:
            return Repaired(finding, False, "it has changed meanwhile: look again")
        status: RunStatus = "exited"
        reason, counts = f"run {look.ended}", {}
        if look.ended == "completed":
            status = "completed"
            result = await self._runs.result(finding.workflow_id, look.run_id)
            if result is not None:
                status, reason = result.status, result.reason
                counts = result.model_dump(include={"sent", "messages", "dropped"})
        async with self._database.transaction() as tx:
            await run_changes.close(tx, finding.enrollment_id, status, reason, counts=counts)
        return Repaired(finding, True, f"closed as {status}: {reason}")

    async def _decide(self, finding: Finding) -> Repaired:
        if self._lost == "leave":
            return Repaired(finding, False, "left to you: --lost restart or --lost close")
        look = await self._runs.look(finding.workflow_id)
        if look.ended is not None and look.enrollment_id in (finding.enrollment_id, UNREADABLE):
            return Repaired(finding, False, "it has changed meanwhile: look again")
        if self._lost == "close":
            async with self._database.transaction() as tx:
                await run_changes.close(tx, finding.enrollment_id, "exited", "run lost")
            return Repaired(finding, True, "closed as exited: run lost")
        return await self._start(finding)

    async def _start(self, finding: Finding) -> Repaired:
        async with self._database.transaction() as tx:
            await enrollments.lock_run(tx, finding.enrollment_id)
            one = await doctor.find(tx, finding.enrollment_id)
            if one is None:
                return Repaired(finding, True, "it has ended meanwhile")
            if one.ending_since is None:
                await doctor.start_again(tx, one.id)
                return Repaired(finding, True, "its start is in the outbox again")
            status: RunStatus = "exited" if one.goal_reached_at is None else "converted"
            await run_changes.close(tx, one.id, status, "goal" if status == "converted" else "exit")
        return Repaired(finding, True, f"closed as {status}: it had nothing left to do")

    async def _tell(self, finding: Finding) -> Repaired:
        async with self._database.transaction() as tx:
            await enrollments.lock_run(tx, finding.enrollment_id)
            one = await doctor.find(tx, finding.enrollment_id)
            if one is None or not one.told or one.ending_since is None:
                return Repaired(finding, True, "the run has received it meanwhile")
            await doctor.end_again(tx, one)
        return Repaired(finding, True, "the signal is in the outbox again")

    async def _end(self, finding: Finding) -> Repaired:
        signal = EndSignal(reason="enrollment-ended", enrollment_id=finding.enrollment_id)
        try:
            await self._client.get_workflow_handle(finding.workflow_id).signal(SIGNAL_END, signal)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return Repaired(finding, True, "it has ended meanwhile")
        return Repaired(finding, True, "asked to end")

    async def _hurry(self, finding: Finding) -> Repaired:
        async with self._database.transaction() as tx:
            await doctor.hurry(tx, [int(finding.id)])
        return Repaired(finding, True, "due now")

    async def _set_aside(self, finding: Finding) -> Repaired:
        if self._word == "leave":
            return Repaired(finding, False, "left to you: --refused again or --refused drop")
        async with self._database.transaction() as tx:
            if self._word == "drop":
                await refused_deliveries.drop(tx, int(finding.id))
                return Repaired(finding, True, "given up")
            again = await refused_deliveries.try_again(tx, int(finding.id))
        return Repaired(finding, True, "in the outbox again" if again else "given up: its enrollment is over")

    async def _give_up(self, finding: Finding) -> Repaired:
        if self._word != "drop":
            return Repaired(finding, False, "left to its worker; at the last, --refused drop ends it")
        look = await self._runs.look(finding.workflow_id)
        if look.ended != "" or look.enrollment_id != finding.enrollment_id:
            return Repaired(finding, False, "it has changed meanwhile: look again")
        await self._client.get_workflow_handle(finding.workflow_id, run_id=look.run_id).terminate(TOOK_NO_MORE)
        async with self._database.transaction() as tx:
            one = await doctor.find(tx, finding.enrollment_id)
            status: RunStatus = "converted" if one is not None and one.goal_reached_at is not None else "exited"
            reason = "goal" if status == "converted" else TOOK_NO_MORE
            await run_changes.close(tx, finding.enrollment_id, status, reason)
        return Repaired(finding, True, f"terminated, and closed as {status}: {reason}")

    async def _finish(self, finding: Finding) -> Repaired:
        async with self._database.transaction() as tx:
            if await doctor.find(tx, finding.enrollment_id) is not None:
                return Repaired(finding, False, "left to its run, which asks the provider, then does as its step says")
            message = await messages.get(tx, finding.id)
            if message is not None and message.status == "sending":
                # The process that held the claim died long ago. If it is alive after all, its `sent` still counts.
                await send_outcomes.settle(tx, message.id, token=message.token, outcome="unknown", reason="abandoned")
        return Repaired(finding, True, await self._settle(finding.id))
