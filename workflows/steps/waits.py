"""The steps that wait: for a span of time, for a moment that the database knows, for an event."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import ResolvedWait, ResolveWaitCall
    from tracks.runs.program import Wait, WaitDate, WaitFor, WaitMoment, WaitUntil
    from tracks.runs.run_interface import HeardEvent, Matched
    from workflows.run.received_events import Since

from workflows import patches
from workflows.run.local_activities import local
from workflows.run.run_context import Context

JUST_AFTER = timedelta(milliseconds=1)
"""Added to the moment from which a step looks for its time of day, if that moment has passed when the step begins. Two
waits in a row for 09:00 then end on two days, as they do without a delay."""


async def wait_for_time(ctx: Context, wait: Wait) -> None:
    """Wait a span of time from when the step was due."""
    length = ctx.given.clock.real_delay(timedelta(seconds=wait.seconds))
    deadline = ctx.carried() or ctx.due() + length
    woken = await ctx.wait(wait.step, "time to pass", deadline, lambda: ctx.skip_wait)
    _record_end(ctx, wait.step, "wait", woken, deadline)


async def wait_for_moment(ctx: Context, wait: WaitUntil | WaitDate | WaitMoment, after: int) -> int:
    """Wait for a moment that the database computes from the contact's data; answers the next program counter.

    The database is asked again whenever an attribute changes that a wait of the track reads; but not about a
    `WaitMoment`, whose moment is computed once.
    """
    once = isinstance(wait, WaitMoment)
    kind = wait.kind if isinstance(wait, WaitMoment) else wait.op
    carried = ctx.carried()
    asked = ctx.due() if carried is None else workflow.now()
    after_due = JUST_AFTER if ctx.given.clock.jumps or asked < workflow.now() else timedelta(0)
    while True:
        ctx.memory.changed.clear()
        if carried is not None:
            deadline, carried = carried, None
        else:
            answer = await _resolve(ctx, wait, ctx.given.clock.at(asked) + after_due)
            if answer.outcome == "ended":
                ctx.memory.end("exited", "no longer enrolled")
                return after
            if answer.at is None:
                ctx.record(wait.step, kind, "skipped", answer.outcome)
                if isinstance(wait, WaitDate | WaitMoment):
                    return wait.missing if answer.outcome == "missing" else wait.past
                return after
            deadline = ctx.given.clock.real(answer.at)

        def changed() -> bool:
            return bool(ctx.memory.changed) and not once

        woken = await ctx.wait(wait.step, "its moment", deadline, lambda: ctx.skip_wait or changed())
        if woken and changed() and not ctx.ending and not ctx.skip_wait:
            ctx.memory.note(f"`{wait.step}` looked at its date again: it changed")
            asked, after_due = workflow.now(), timedelta(0)
            continue
        _record_end(ctx, wait.step, kind, woken, deadline)
        return after


async def _resolve(ctx: Context, wait: WaitUntil | WaitDate | WaitMoment, now: datetime) -> ResolvedWait:
    question = ResolveWaitCall(enrollment_id=ctx.given.enrollment_id, step=wait.step, now=now)
    summary = f"{wait.step}: when is its moment?"
    answer: ResolvedWait = await local(contract.RESOLVE_WAIT, question, ResolvedWait, summary=summary)
    return answer


def _record_end(ctx: Context, step: str, kind: str, woken: bool, deadline: datetime) -> None:
    ctx.memory.reach(workflow.now() if woken else deadline)
    if not woken:
        ctx.record(step, kind, "done")
    elif ctx.ending:
        ctx.record(step, kind, "skipped", "the run ended")
    else:
        ctx.record(step, kind, "skipped", "by an operator")


async def wait_for_event(ctx: Context, wait: WaitFor) -> bool:
    """Wait for the event; answers whether it came in time.

    The contact has the whole time to react, counted from when the step really began. Where the clock jumps, the next
    step was due at the event, or at the end of the time counted from when this step was due.
    """
    length = ctx.given.clock.real_delay(timedelta(seconds=wait.seconds))
    resumed = ctx.carried()
    deadline = resumed or workflow.now() + length
    if resumed is None:
        ctx.memory.heard.begin(wait.step, Since(ctx.memory.due[wait.step], ctx.memory.began[wait.step]))

    def ends() -> HeardEvent | Matched | None:
        return _ending_event(ctx, wait, deadline)

    def latest() -> datetime:
        if not ctx.given.clock.jumps:
            return workflow.now()
        return min(ctx.memory.due[wait.step] + length, workflow.now())

    await ctx.wait(wait.step, f"the event {wait.event}", deadline, lambda: ends() is not None or ctx.skip_wait)
    ended = ends()
    if ended is not None:
        if isinstance(ended, HeardEvent):
            ctx.memory.ended_by(wait.step, ended, latest())
        else:
            ctx.memory.ended_by_latest(wait.step, ended, workflow.now())
        assert ctx.memory.event is not None
        ctx.record(wait.step, "wait_for", "happened", ctx.memory.event.event_id)
        return True
    if ctx.ending:
        ctx.memory.reach(latest())
        ctx.record(wait.step, "wait_for", "skipped", "the run ended")
        return False
    ctx.memory.reach(latest() if ctx.skip_wait or ctx.given.clock.jumps else deadline)
    ctx.record(wait.step, "wait_for", "timed_out", "by an operator" if ctx.skip_wait else "")
    return False


def _ending_event(ctx: Context, wait: WaitFor, deadline: datetime) -> HeardEvent | Matched | None:
    """The event that ends the wait now, or None.

    It is a `Matched` in runs from before the patch `EVENTS_COUNT_ONCE`.
    """
    memory, step = ctx.memory, wait.step
    until = deadline if ctx.late(deadline) else None
    new = memory.heard.first(step, memory.since(step, wait.since), memory.due[step], until)
    since = _counts_from(ctx, wait)
    old = memory.match_since(step, since)
    near = memory.match_despite_clocks(step, since) if old is None else None
    same = old is not None and new is not None and old.event_id == new.event.event_id
    # The patch is asked only where the old way and the new one differ: asking costs an event of the history.
    if same or (old is None and near is None and new is None) or workflow.patched(patches.EVENTS_COUNT_ONCE):
        return new
    if near is not None and workflow.patched(patches.CLOCKS_APART):
        return near
    return old


def _counts_from(ctx: Context, wait: WaitFor) -> datetime | None:
    """The moment from which events count in runs from before the patch `EVENTS_COUNT_ONCE`; None: all events count."""
    began = ctx.memory.began
    if wait.since == "enrollment":
        return None
    return began.get(wait.step if wait.since == "step" else wait.since, began[wait.step])
