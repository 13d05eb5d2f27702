"""How a run calls the activities of effects, and what it records where a call fails."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import exceptions, workflow
from temporalio.exceptions import ApplicationError, CancelledError

with workflow.unsafe.imports_passed_through():
    from activities.contract import StepCall
    from tracks.runs.program import Effect, Handoff

from workflows import retry_policies
from workflows.run.run_context import Context

RUN_ENDED = "the run ended"
"""The reason of a step that was not carried out because a goal, an exit rule or an operator ended the run."""


async def call(ctx: Context, name: str, queue: str, arg: Any, result: type[Any], summary: str) -> Any:
    """Run an activity in its queue and answer its result.

    If the run is asked to end meanwhile, the activity is not tried again, and an attempt that is under way is finished.
    Raises ActivityError where the activity failed or was cancelled.
    """
    task = workflow.start_activity(
        name,
        arg,
        task_queue=queue,
        result_type=result,
        start_to_close_timeout=retry_policies.ATTEMPT_LIMIT,
        schedule_to_close_timeout=retry_policies.EFFECT_DEADLINE,
        retry_policy=retry_policies.UNTIL_PROVIDER_ANSWERS,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=summary,
    )
    await workflow.wait_condition(lambda: task.done() or ctx.ending)
    if not task.done():
        task.cancel()
    return await task


async def call_once(name: str, arg: Any, result: type[Any], summary: str) -> Any:
    """Run a local activity once and answer its result. It is finished even if the run is cancelled meanwhile.

    The activity may be handing a message over, and the run has to know how that ended.
    """
    task = workflow.start_local_activity(
        name,
        arg,
        result_type=result,
        start_to_close_timeout=retry_policies.ATTEMPT_LIMIT,
        retry_policy=retry_policies.ONCE,
        summary=summary,
    )
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await workflow.wait([task])
        raise


def step_call(ctx: Context, effect: Effect | Handoff, channel: str = "") -> StepCall:
    """The argument of an effect's activity."""
    return StepCall(
        enrollment_id=ctx.given.enrollment_id,
        step=effect.step,
        occurrence=ctx.memory.occurrences[effect.step],
        clock=ctx.given.clock,
        path=tuple(ctx.memory.unreported),
        channel=channel,
        track=ctx.given.track,
        version=ctx.given.version,
        due=ctx.now() if ctx.given.clock.jumps else None,
        event_id=event_id(ctx, effect),
    )


def event_id(ctx: Context, effect: Effect | Handoff) -> str:
    """The id of the event that the effect's texts read; empty if they read none, or no wait has matched one."""
    return ctx.memory.event.event_id if effect.event and ctx.memory.event is not None else ""


def outcome_of_failure(ctx: Context, error: BaseException) -> tuple[str, str]:
    """The outcome and the reason of an effect whose activity failed or was cancelled.

    The reason is the class of the error only, because a provider's text may hold an address. Raises the error again
    where the run itself was cancelled from outside.
    """
    if isinstance(error, asyncio.CancelledError) and not ctx.ending:
        raise error  # an operator cancelled the run in Temporal
    cause = error.__cause__
    if isinstance(error, asyncio.CancelledError) or isinstance(cause, CancelledError):
        return "skipped", RUN_ENDED
    if ctx.ending:  # the attempt under way failed, and there is no other because the run ends
        return ("unknown" if isinstance(cause, exceptions.TimeoutError) else "skipped"), RUN_ENDED
    if isinstance(cause, ApplicationError) and cause.type:
        return "failed", cause.type
    return "failed", type(cause).__name__


def stop_if_ended(ctx: Context, outcome: str, reason: str) -> tuple[str, str]:
    """End the run where an activity found the enrolment ended in the database, which knows of a goal before the signal.

    Answers the outcome and the reason to record.
    """
    if outcome != "ended":
        return outcome, reason
    if reason == "goal":
        ctx.memory.end("converted", "goal")
    else:
        ctx.memory.end("exited", "no longer enrolled")
    return "skipped", f"{RUN_ENDED}: {reason}" if reason else RUN_ENDED
