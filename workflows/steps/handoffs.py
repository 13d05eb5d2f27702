"""The step `handoff`: a task for a salesperson, and the wait for the answer.

The database decides what the answer is. The answer's event reaches the run as a signal, and the run knows it by its id.
When the time to answer is over, the run asks the database to end the handoff. An answer that was stored before counts.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import HandedOver, SettledHandoff, SettleHandoffCall
    from tracks.runs.handoff_answers import Answer, event_id
    from tracks.runs.program import Handoff
    from tracks.runs.run_interface import HeardEvent
    from tracks.shared.effect_keys import effect_key

from workflows.run.local_activities import local
from workflows.run.run_context import Context
from workflows.steps.activity_calls import RUN_ENDED, call, outcome_of_failure, step_call, stop_if_ended


async def hand_over(ctx: Context, handoff: Handoff, after: int) -> int:
    """Hand the lead over and wait for the answer; answers the next program counter."""
    deadline = ctx.carried()
    if deadline is None:
        deadline = await _make_task(ctx, handoff)
        if deadline is None:
            return handoff.none
    step = handoff.step
    await ctx.wait(step, "sales to answer", deadline, lambda: _answer(ctx, handoff) is not None or ctx.skip_wait)
    answered = _answer(ctx, handoff)
    if answered is not None:
        status, heard = answered
        ctx.memory.ended_by(step, heard, _latest(ctx, handoff))
    elif ctx.ending:
        ctx.memory.reach(_latest(ctx, handoff))
        ctx.record(step, "handoff", "skipped", RUN_ENDED)
        return after
    else:
        status = await _expire(ctx, handoff, deadline)
    ctx.record(step, "handoff", "took", status)
    return {"accepted": after, "rejected": handoff.rejected, "expired": handoff.expired}[status]


async def _make_task(ctx: Context, handoff: Handoff) -> datetime | None:
    """Make the task. Answers until when sales may answer, in real time; None: the lead was not handed over."""
    ctx.show(handoff.step, "handing over")
    ctx.memory.acted = True
    given, summary = step_call(ctx, handoff), f"{handoff.step}: handoff"
    try:
        result: HandedOver = await call(ctx, contract.HAND_OVER, contract.QUEUE_CRM, given, HandedOver, summary)
    except (ActivityError, asyncio.CancelledError) as error:
        ctx.record(handoff.step, "handoff", *outcome_of_failure(ctx, error))
        if not ctx.ending:
            await _settle(ctx, handoff, "failed")
        return None
    ctx.memory.reported(given.path)
    if result.outcome == "waiting":
        return result.due
    ctx.record(handoff.step, "handoff", *stop_if_ended(ctx, result.outcome, result.reason))
    return None


def _answer(ctx: Context, handoff: Handoff) -> tuple[Answer, HeardEvent] | None:
    """The answer that has reached the run, with its event."""
    answers: tuple[Answer, ...] = ("accepted", "rejected")
    for status in answers:
        heard = ctx.memory.heard.of(handoff.step, event_id(_key(ctx, handoff), status))
        if heard is not None:
            return status, heard
    return None


async def _expire(ctx: Context, handoff: Handoff, deadline: datetime) -> Answer:
    """End the handoff because the time is over, or because an operator skips the wait; answers how it ended."""
    latest = _latest(ctx, handoff)
    settled = await _settle(ctx, handoff, "expired")
    if settled.event is not None:
        ctx.memory.event = settled.event
        ctx.memory.reach(min(max(settled.event.at, ctx.memory.due[handoff.step]), latest))
    else:
        ctx.memory.reach(latest if ctx.skip_wait or ctx.given.clock.jumps else deadline)
    return settled.outcome


async def _settle(ctx: Context, handoff: Handoff, status: str) -> SettledHandoff:
    asked = SettleHandoffCall(
        enrollment_id=ctx.given.enrollment_id,
        step=handoff.step,
        occurrence=ctx.memory.occurrences[handoff.step],
        status="failed" if status == "failed" else "expired",
    )
    summary = f"{handoff.step}: no answer in time"
    settled: SettledHandoff = await local(contract.SETTLE_HANDOFF, asked, SettledHandoff, summary=summary)
    return settled


def _key(ctx: Context, handoff: Handoff) -> str:
    return effect_key(ctx.given.enrollment_id, handoff.step, ctx.memory.occurrences[handoff.step])


def _latest(ctx: Context, handoff: Handoff) -> datetime:
    """The latest moment at which the next step can be due. Where the clock jumps, the machine's delays do not count."""
    now = workflow.now()
    if not ctx.given.clock.jumps:
        return now
    length = ctx.given.clock.real_delay(timedelta(seconds=handoff.seconds))
    return min(ctx.memory.due[handoff.step] + length, now)
