"""The doctor's check of law 7 and of everything that waits: it compares the database with Temporal.

Both change while they are compared, so a first difference is no finding yet: the check examines a suspect run in
detail and then reads its enrollment again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from temporalio.client import Client

from api.doctor import database_waits, older_processes
from api.doctor.findings import Finding, Report
from api.doctor.health import future_event_health, handoff_health, score_health, segment_health
from api.doctor.temporal_runs import LIVE, RUNS, UNREADABLE, Listed, Look, Runs
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.engine.ids import is_id
from store.operations import doctor
from store.operations.doctor import Live
from store.runs.outbox import signaled_runs

SIDE_BY_SIDE = 8
"""How many runs are examined in detail at the same time."""
MOST_SUSPECTS = 100
"""How many suspects of each kind a brief check examines."""
TOLD_BRIEFLY = 500
"""How many recently signaled runs a brief check examines: two calls a second over a round of five minutes."""
TOLD_IN_ALL = 2_000
"""The same for the whole check."""
Say = Callable[[str], None]


Why = Literal["gone", "ending", "live", "told"]
"""Why a run is examined in detail."""


def silent(_: str) -> None:
    """Say nothing."""


class Check:
    """One check of an installation."""

    def __init__(self, database: Database, client: Client, limits: TimeLimits | None = None, say: Say = silent) -> None:
        """`say` receives short texts about the progress."""
        self._database = database
        self._limits = limits or TimeLimits()
        self._runs = Runs(client, self._limits)
        self._say = say
        self._began = datetime.now(UTC)
        self._report = Report()
        self._looked: dict[str, Look] = {}
        self._ours = 0
        """Number of listed runs whose enrollment is in this database."""
        self._unreadable = 0
        """Number of listed runs that are encrypted with a key that this process does not have."""
        self.position = 0
        """Outbox position at which the next brief check begins: see `store.runs.outbox.signaled_runs`."""
        self.untaken: list[str] = []
        """Enrollments whose runs have a pending task now. The next brief check looks whether it is still pending."""

    async def whole(self, *, every_run: bool = False) -> Report:
        """Compare all live enrollments with all live runs. `every_run` examines each of these runs in detail."""
        suspects: dict[str, str] = {}
        seen: set[bytes] = set()  # 16 bytes an enrollment, about 100 with the set's overhead
        async for page in self._runs.listed(LIVE):
            self._report.runs += len(page)
            self._say(f"{self._report.runs:,} live runs listed")
            seen.update(UUID(run.enrollment_id).bytes for run in page if is_id(run.enrollment_id))
            suspects |= {run.workflow_id: run.enrollment_id for run in page if every_run or self._suspicious(run)}
            self._unreadable += sum(run.enrollment_id == UNREADABLE for run in page)
            await self._unended(page)
        if self._unreadable:
            detail = f"{self._unreadable:,} of {self._report.runs:,} live runs"
            self._report.add(Finding("runs-unreadable", "", detail))
        suspects |= {run.workflow_id: run.enrollment_id for run in await self._runs.failing(MOST_SUSPECTS)}
        missing, ending = await self._compare(seen)
        if missing and self._unreadable and not self._ours:
            missing = []  # each of them may be one of the unreadable runs
        elif missing and self._report.runs and not self._ours:
            # None of the listed runs is ours, and none of ours is listed: our runs are not lost, this Temporal belongs
            # to another installation.
            detail = f"{self._report.runs:,} live runs, all of others; {len(missing):,} of ours are not there"
            self._report.add(Finding("other-temporal", "", detail))
            missing = []
        await self._look_at(missing, "gone")
        await self._look_at(ending, "ending")
        await self._look_at(await self._enrollments(suspects), "live")
        if not every_run:
            await self._taken_up(0, TOLD_IN_ALL, ())
        await database_waits.look(self._database, self._limits, self._report, self._look)
        await segment_health.look(self._database, self._limits, self._report)
        await future_event_health.look(self._database, self._limits, self._report)
        await score_health.look(self._database, self._limits, self._report)
        await handoff_health.look(self._database, self._limits, self._report)
        await older_processes.look(self._database, self._report)
        return self._report

    async def brief(self, after: int = 0, again: Collection[str] = ()) -> Report:
        """The cheap check: a few statements, a few lists, and at most some hundred runs in detail.

        It finds every terminated or failed run of the last days, every run that should have gone on, and the runs whose
        signals no worker processes, of those signaled after the outbox position `after`. Of runs that vanished without
        a trace it finds only that there are fewer runs than enrollments. `again` are the enrollments that were
        `untaken` at the previous check.
        """
        late = (self._began - self._limits.late).isoformat()
        ended = f"{RUNS} AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut')"
        suspects: dict[str, str] = {}
        for query in (f"{LIVE} AND NextActionAt < '{late}'", f"{LIVE} AND NextActionAt IS NULL", ended):
            async for page in self._runs.listed(query, MOST_SUSPECTS):
                suspects |= {run.workflow_id: run.enrollment_id for run in page if self._settled(run)}
        suspects |= {run.workflow_id: run.enrollment_id for run in await self._runs.failing(MOST_SUSPECTS)}
        await self._look_at(await self._enrollments(suspects), "live")
        await self._lost_starts()
        async with self._database.transaction() as tx:
            self._report.enrollments = await doctor.count_started(tx)
        self._report.runs = await self._runs.count(LIVE)
        short = self._report.enrollments - self._report.runs
        if short > max(20, self._report.enrollments // 50):
            self._report.add(Finding("counts-differ", "", f"{short:,} of {self._report.enrollments:,}"), short)
        await self._taken_up(after, TOLD_BRIEFLY, again)
        await database_waits.look(self._database, self._limits, self._report, self._look)
        await segment_health.look(self._database, self._limits, self._report)
        await future_event_health.look(self._database, self._limits, self._report)
        await score_health.look(self._database, self._limits, self._report)
        await handoff_health.look(self._database, self._limits, self._report)
        await older_processes.look(self._database, self._report)
        return self._report

    async def _taken_up(self, after: int, most: int, again: Collection[str]) -> None:
        """Check whether a worker has processed the signals of runs. The runs' timers may be days away."""
        before = self._began - self._limits.worker
        async with self._database.transaction() as tx:
            found = await signaled_runs.find_signaled(tx, after=after, before=before, limit=most)
        self.position = found.position
        self._report.told, self._report.passed_over = found.count, found.count - len(found.ids)
        suspects = await self._enrollments({which: which for which in (*found.ids, *list(again)[:most])})
        await self._look_at(suspects, "told")

    def _settled(self, run: Listed) -> bool:
        """Whether the run began long enough ago to be judged."""
        return self._began - run.started_at > self._limits.late

    def _suspicious(self, run: Listed) -> bool:
        """Whether the run's wait should be over, or the run should have begun to wait."""
        if run.next_action_at is not None:
            return self._began - run.next_action_at > self._limits.late
        return self._settled(run)

    async def _unended(self, page: list[Listed]) -> None:
        """Find the live runs of enrollments that have ended or are not in this database."""
        ids = [run.enrollment_id for run in page if is_id(run.enrollment_id)]
        async with self._database.transaction() as tx:
            known = await doctor.standing(tx, ids)
        self._ours += len(known)
        for run in page:
            if run.enrollment_id == UNREADABLE:
                continue
            found = known.get(run.enrollment_id)
            if found is not None and (found.ended_at is None or self._began - found.ended_at < self._limits.late):
                continue
            if found is None and not self._settled(run):
                continue
            look = await self._look(run.workflow_id)
            if look.ended != "" or look.enrollment_id != run.enrollment_id:
                continue
            kind = "run-unknown" if found is None else "run-unended"
            ended = f"ended {found.ended_at:%Y-%m-%d %H:%M:%S}" if found and found.ended_at else ""
            detail = ", ".join(filter(None, (ended, look.trouble, look.detail)))
            self._report.add(Finding(kind, run.enrollment_id, detail, run.workflow_id, run.enrollment_id))

    async def _compare(self, seen: set[bytes]) -> tuple[list[Live], list[Live]]:
        """Page through the live enrollments. Returns those without a live run, and those that should have ended."""
        missing: list[Live] = []
        ending: list[Live] = []
        after = doctor.NO_ID
        while True:
            async with self._database.transaction() as tx:
                page = await doctor.live(tx, after=after, created_before=self._began)
            if not page:
                return missing, ending
            after = page[-1].id
            self._report.enrollments += len(page)
            self._say(f"{self._report.enrollments:,} live enrollments compared")
            for one in page:
                if one.created_at >= self._began - self._limits.start:
                    self._report.young += 1
                elif one.started_at is None:
                    await self._unstarted(one)
                elif UUID(one.id).bytes in seen:
                    ending += [one] if self._should_have_ended(one) else []
                elif self._began - one.started_at > self._limits.start and not one.start_waits:
                    missing.append(one)

    async def _lost_starts(self) -> None:
        after = doctor.NO_ID
        while True:
            async with self._database.transaction() as tx:
                before = self._began - self._limits.start
                page = await doctor.live(tx, after=after, created_before=before, only_unstarted=True)
            if not page:
                return
            after = page[-1].id
            for one in page:
                await self._unstarted(one)

    async def _unstarted(self, one: Live) -> None:
        """Report an enrollment without a run and without a start in the outbox. Read it again: it may just have
        started.
        """
        if one.start_waits:
            return
        async with self._database.transaction() as tx:
            again = await doctor.find(tx, one.id)
        if again is not None and again.started_at is None and not again.start_waits:
            detail = f"accepted {one.created_at:%Y-%m-%d %H:%M:%S}"
            self._report.add(Finding("lost-start", one.id, detail, one.workflow_id, one.id))

    def _should_have_ended(self, one: Live) -> bool:
        since = one.ending_since
        return one.told and since is not None and self._began - since > self._limits.late

    async def _enrollments(self, suspects: dict[str, str]) -> list[Live]:
        """The live enrollments of suspect runs. `_unended` judges the runs of ended enrollments."""
        found = []
        for enrollment_id in set(filter(is_id, suspects.values())):
            async with self._database.transaction() as tx:
                one = await doctor.find(tx, enrollment_id)
            if one is not None and one.started_at is not None:
                found.append(one)
        return found

    async def _look_at(self, suspects: Iterable[Live], why: Why) -> None:
        waiting = iter(suspects)

        async def judge() -> None:
            for one in waiting:
                self._say(f"{len(self._looked):,} runs looked into")
                await self._judge(one, why)

        await asyncio.gather(*(judge() for _ in range(SIDE_BY_SIDE)))

    async def _judge(self, one: Live, why: Why) -> None:
        look = await self._look(one.workflow_id, tasks_only=why == "told")
        async with self._database.transaction() as tx:
            again = await doctor.find(tx, one.id)
        if again is None:  # the enrollment has ended meanwhile
            return
        if look.has_task:
            self.untaken.append(one.id)
        kind, detail = look.trouble, look.detail
        if look.enrollment_id == UNREADABLE:  # a run exists, and it may be this enrollment's
            return
        if look.ended is None or look.enrollment_id != one.id:
            kind, detail = "run-lost", f"started {one.started_at:%Y-%m-%d %H:%M:%S}"
        elif look.ended:
            kind, detail = "run-ended", look.ended
        elif not kind and why == "ending" and self._should_have_ended(again):
            kind, detail = "run-deaf", f"should have ended {again.ending_since:%Y-%m-%d %H:%M:%S}"
        if kind and not any(it.enrollment_id == one.id for it in self._report.of(kind)):
            self._report.add(Finding(kind, one.id, detail, one.workflow_id, one.id))

    async def _look(self, workflow_id: str, *, tasks_only: bool = False) -> Look:
        """Examine a run in detail, once per check."""
        if workflow_id not in self._looked:
            self._looked[workflow_id] = await self._runs.look(workflow_id, tasks_only=tasks_only)
            self._report.looked_into += 1
        return self._looked[workflow_id]
