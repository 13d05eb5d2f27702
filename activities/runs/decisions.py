"""Decisions of a run that need the contact's data, as local activities: `resolve_wait` and `decide_branch`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from temporalio import activity

from activities.contract import DECIDE_BRANCH, RESOLVE_WAIT, BranchCall, Decided, ResolvedWait, ResolveWaitCall
from activities.shared.step_content import find_in
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.runs import condition_checks, enrollments
from store.schema.rows import Contact
from tracks.conditions.conditions import not_computed
from tracks.model.simple_steps import Base, WaitUntilStep
from tracks.model.steps import BranchStep, WaitDateStep
from tracks.model.track import Track
from tracks.time.local_time import date_moment, is_zone, next_local, next_yearly

log = structlog.get_logger(__name__)


class WaitActivities:
    """Resolves when `wait_until` and `wait_date` steps end."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=RESOLVE_WAIT)
    @without_details
    async def resolve_wait(self, call: ResolveWaitCall) -> ResolvedWait:
        """The moment, on the run's clock, at which a step's wait ends, by the contact's present data.

        A missing or malformed date gives `missing`, a past date gives `past`; neither ever means "now".
        """
        async with self._db.transaction() as tx:
            run = await enrollments.run(tx, call.enrollment_id)
            if run is None or run.contact is None or run.enrollment.ended_at is not None:
                return ResolvedWait(outcome="ended")
            track, step = await find_in(tx, run.enrollment, call.step, Base)
        return moment_of(step, run.contact, track, call.now)


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


def moment_of(step: Base, contact: Contact, track: Track, now: datetime) -> ResolvedWait:
    """When a `wait_until` or `wait_date` step ends for a contact, on the run's clock. TypeError for another step."""
    zone = _zone(contact, track)
    if isinstance(step, WaitUntilStep):
        until = step.wait_until
        return ResolvedWait(outcome="at", at=next_local(now, zone, until.time, until.weekdays))
    if not isinstance(step, WaitDateStep):
        raise TypeError(f"step {step.id} does not wait for a time")
    date = step.wait_date
    value = (contact.attributes or {}).get(date.attribute)
    if date.every == "year" and date.feb_29 is not None:
        moment = next_yearly(value, date.offset, zone, date.time, now, date.feb_29, date_only=date.date_only)
    else:
        moment = date_moment(value, date.offset, zone, date.time, date_only=date.date_only)
    if moment is None:
        return ResolvedWait(outcome="missing")
    if moment < now:
        return ResolvedWait(outcome="past")
    return ResolvedWait(outcome="at", at=moment)


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


def _zone(contact: Contact, track: Track) -> str:
    zone = contact.timezone
    return zone if zone is not None and is_zone(zone) else track.defaults.timezone
