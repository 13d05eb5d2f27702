"""Decisions of a run that need the contact's data, as local activities: `resolve_wait` and `decide_branch`."""

from __future__ import annotations

from typing import Any

import structlog
from temporalio import activity

from activities.contract import DECIDE_BRANCH, RESOLVE_WAIT, BranchCall, Decided, ResolvedWait, ResolveWaitCall
from activities.runs.moments import Waiting, moment_of
from activities.shared.step_content import find_in
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.runs import condition_checks
from store.runs.enrollments import enrollments
from tracks.conditions.conditions import not_computed
from tracks.model.steps.simple_steps import Base
from tracks.model.steps.steps import BranchStep

log = structlog.get_logger(__name__)


class WaitActivities:
    """Resolves when the steps that wait for a moment end."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=RESOLVE_WAIT)
    @without_details
    async def resolve_wait(self, call: ResolveWaitCall) -> ResolvedWait:
        """The moment, on the run's clock, at which a step's wait ends, by the present data.

        A missing or malformed date or length gives `missing`, a past date gives `past`; neither ever means "now".
        """
        async with self._db.transaction() as tx:
            run = await enrollments.run(tx, call.enrollment_id)
            if run is None or run.contact is None or run.enrollment.ended_at is not None:
                return ResolvedWait(outcome="ended")
            track, step = await find_in(tx, run.enrollment, call.step, Base)
        who = Waiting(run.contact, run.enrollment.view(), run.enrollment.origin, track)
        return moment_of(step, who, call.now)


class BranchActivities:
    """Decides branches whose conditions read the contact."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=DECIDE_BRANCH)
    @without_details
    async def decide_branch(self, call: BranchCall) -> int | Decided:
        """The index of the first case that holds, or -1. A condition that cannot be computed does not hold.

        Such a condition is counted, and the run receives a note about it.
        """
        async with self._db.transaction() as tx:
            run = await enrollments.run(tx, call.enrollment_id)
            if run is None or run.contact is None:
                return -1
            _, step = await find_in(tx, run.enrollment, call.step, BranchStep)
            answer, reasons = decide(step, run.contact.view(), run.enrollment.view(call.steps), call)
            for reason in reasons:
                condition_checks.count(tx, reason, "branch", run.enrollment.track)
        return answer


def decide(
    step: BranchStep, contact: dict[str, Any], enrollment: dict[str, Any], call: BranchCall
) -> tuple[int | Decided, set[str]]:
    """The answer of `decide_branch` for this contact and enrollment, and the reasons under which failures count."""
    context: dict[str, Any] = {"contact": contact, "enrollment": enrollment, "now": call.now}
    if call.event is not None:
        context["event"] = call.event.view()
    failed: dict[int, str] = {}
    taken = -1
    for index, case in enumerate(step.branch):
        holding, why = condition_checks.judged(case.when, context)
        if holding:
            taken = index
            break
        if why:
            failed[index] = why
            log.warning("condition not computed", enrollment_id=call.enrollment_id, step=call.step, case=index, why=why)
    notes = tuple(not_computed(call.step, index, why) for index, why in failed.items())
    return Decided(taken=taken, notes=notes) if notes else taken, set(failed.values())
