"""The step that waits for a condition. The database judges it, so that the history holds nothing about the contact."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import AwaitConditionCall, AwaitedCondition
    from tracks.runs.program import WaitCondition
    from tracks.runs.run_interface import met_key

from workflows.run.local_activities import local
from workflows.run.run_context import Context


async def wait_for_condition(ctx: Context, wait: WaitCondition) -> bool:
    """Wait until the condition holds; answers whether it did in time.

    The database is asked when the wait begins, and when a run continues as new in it: from then on a change that makes
    the condition hold is signalled. It is asked again at the end, so that a signal that was lost delays the run at most
    by the step's time.
    """
    length = ctx.given.clock.real_delay(timedelta(seconds=wait.seconds))
    key = met_key(wait.step, ctx.memory.occurrences[wait.step])
    resumed = ctx.carried()
    due = ctx.due()
    deadline = resumed or workflow.now() + length
    outcome = await _look(ctx, wait)
    if outcome == "met":
        _reach(ctx, due if resumed is None else workflow.now())
        return _happened(ctx, wait)
    if outcome == "waiting":
        await ctx.wait(wait.step, "its condition", deadline, lambda: ctx.skip_wait or key in ctx.memory.met)
        latest = workflow.now()
        if ctx.given.clock.jumps:
            latest = min(ctx.memory.due[wait.step] + length, latest)
        if key in ctx.memory.met:
            _reach(ctx, latest)
            return _happened(ctx, wait)
        if ctx.ending:
            _reach(ctx, latest)
            ctx.record(wait.step, "wait_for", "skipped", "the run ended")
            return False
        outcome = await _look(ctx, wait, last=True)
        _reach(ctx, latest if ctx.skip_wait or ctx.given.clock.jumps else deadline)
        if outcome == "met" and not ctx.skip_wait:
            return _happened(ctx, wait)
    if outcome == "ended":
        ctx.memory.end("exited", "no longer enrolled")
        return False
    ctx.record(wait.step, "wait_for", "timed_out", "by an operator" if ctx.skip_wait else "")
    return False


async def _look(ctx: Context, wait: WaitCondition, *, last: bool = False) -> str:
    question = AwaitConditionCall(
        enrollment_id=ctx.given.enrollment_id,
        step=wait.step,
        occurrence=ctx.memory.occurrences[wait.step],
        last=last,
    )
    summary = f"{wait.step}: does it hold?"
    answer: AwaitedCondition = await local(contract.AWAIT_CONDITION, question, AwaitedCondition, summary=summary)
    return answer.outcome


def _reach(ctx: Context, moment: datetime) -> None:
    """The wait is over. What was told of it is of no more use."""
    ctx.memory.met.clear()
    ctx.memory.reach(moment)


def _happened(ctx: Context, wait: WaitCondition) -> bool:
    ctx.record(wait.step, "wait_for", "happened")
    return True
