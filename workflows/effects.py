"""Effects: messages, CRM, webhooks, attributes, enrolments. What they send, their activities look up."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import EffectResult, ReconcileCall, SendResult, StepCall
    from tracks.program import Effect

from workflows import policies
from workflows.context import Context

SENDS = {
    "email": (contract.SEND_EMAIL, contract.QUEUE_EMAIL),
    "sms": (contract.SEND_SMS, contract.QUEUE_SMS),
}
OTHERS = {
    "crm": (contract.UPDATE_CRM, contract.QUEUE_CRM),
    "webhook": (contract.CALL_WEBHOOK, contract.QUEUE_WEBHOOK),
}
IN_DATABASE = {"set": contract.SET_ATTRIBUTES, "enroll": contract.ENROLL_CONTACT}


async def perform(ctx: Context, effect: Effect) -> None:
    """Carry out one effect and record how it ended; it never raises (law 12)."""
    ctx.show(effect.step, f"doing {effect.kind}")
    if effect.kind in SENDS:
        await _send(ctx, effect)
    else:
        await _act(ctx, effect)


async def call(ctx: Context, name: str, queue: str, arg: Any, result: type[Any], summary: str) -> Any:
    """Run an activity to its result. An ending in mid-call cancels its retries, not an attempt under way."""
    task = workflow.start_activity(
        name,
        arg,
        task_queue=queue,
        result_type=result,
        start_to_close_timeout=policies.ATTEMPT_LIMIT,
        schedule_to_close_timeout=policies.EFFECT_DEADLINE,
        retry_policy=policies.UNTIL_PROVIDER_ANSWERS,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=summary,
    )
    await workflow.wait_condition(lambda: task.done() or ctx.ending)
    if not task.done():
        task.cancel()
    return await task


async def local(name: str, arg: Any, result: type[Any] | None = None) -> Any:
    """Run a local activity beside the database until it answers."""
    return await workflow.execute_local_activity(
        name,
        arg,
        result_type=result,
        start_to_close_timeout=policies.LOCAL_LIMIT,
        retry_policy=policies.UNTIL_DATABASE_ANSWERS,
    )


def _call_of(ctx: Context, effect: Effect) -> StepCall:
    return StepCall(
        enrollment_id=ctx.given.enrollment_id,
        step=effect.step,
        occurrence=ctx.memory.occurrences[effect.step],
        clock=ctx.given.clock,
        path=tuple(ctx.memory.unreported),
    )


def _record_failure(ctx: Context, effect: Effect, error: BaseException) -> None:
    """Record why an effect did not happen: the class only, for provider texts may hold an address."""
    if isinstance(error, asyncio.CancelledError) and not ctx.ending:
        raise error  # cancelled from outside: the operator means the run
    cause = error.__cause__
    if isinstance(error, asyncio.CancelledError) or isinstance(cause, CancelledError):
        ctx.record(effect.step, effect.kind, "skipped", "the run ended")
    elif isinstance(cause, ApplicationError) and cause.type:
        ctx.record(effect.step, effect.kind, "failed", cause.type)
    else:
        ctx.record(effect.step, effect.kind, "failed", type(cause).__name__)


async def _act(ctx: Context, effect: Effect) -> None:
    given = _call_of(ctx, effect)
    try:
        if effect.kind in IN_DATABASE:
            result: EffectResult = await local(IN_DATABASE[effect.kind], given, EffectResult)
        else:
            name, queue = OTHERS[effect.kind]
            result = await call(ctx, name, queue, given, EffectResult, f"{effect.step}: {effect.kind}")
    except (ActivityError, asyncio.CancelledError) as error:
        _record_failure(ctx, effect, error)
        return
    ctx.memory.reported(given.path)
    _stop_if_ended(ctx, result)
    ctx.record(effect.step, effect.kind, result.outcome, result.reason)


async def _send(ctx: Context, effect: Effect) -> None:
    """Send, waiting as long as the policy says, and settle what nobody knows (law 3)."""
    name, queue = SENDS[effect.kind]
    while True:
        given = _call_of(ctx, effect)
        try:
            result: SendResult = await call(ctx, name, queue, given, SendResult, f"{effect.step}: {effect.kind}")
            ctx.memory.reported(given.path)
            if result.outcome == "unknown":
                result = await _reconcile(ctx, effect, queue, result)
        except (ActivityError, asyncio.CancelledError) as error:
            _record_failure(ctx, effect, error)
            return
        if result.outcome != "deferred":
            break
        if result.until is not None:
            await ctx.wait(effect.step, f"its turn ({result.reason})", result.until, state="deferred")
        if ctx.ending:
            break
    _stop_if_ended(ctx, result)
    if result.outcome == "sent":
        ctx.memory.sent[effect.kind] = ctx.memory.sent.get(effect.kind, 0) + 1
    ctx.record(effect.step, effect.kind, result.outcome, result.reason)


async def _reconcile(ctx: Context, effect: Effect, queue: str, unknown: SendResult) -> SendResult:
    """Ask the ledger and the provider again and again, then settle as the step says."""
    ctx.memory.note(f"`{effect.step}` outcome unknown, being reconciled")
    for pause in policies.RECONCILE_AFTER:
        due = workflow.now() + pause
        await ctx.wait(effect.step, "the provider's word on the message", due, state="reconciling")
        result = await _ask(ctx, effect, queue, ReconcileCall(message_id=unknown.message_id))
        if result.outcome != "unknown" or ctx.ending:
            return result
    if effect.on_unknown != "review":
        settled = ReconcileCall(message_id=unknown.message_id, settle=effect.on_unknown)
        return await _ask(ctx, effect, queue, settled)
    return await _review(ctx, effect, queue, unknown)


async def _review(ctx: Context, effect: Effect, queue: str, unknown: SendResult) -> SendResult:
    ctx.reviewing = effect.step
    await ctx.wait(
        effect.step,
        "an operator's decision: was it sent? (update `resolve_message`: sent, resend or skip)",
        None,
        wake=lambda: ctx.decision is not None,
        state="needs_review",
    )
    ctx.reviewing = None
    decision, ctx.decision = ctx.decision, None
    if decision is None:
        return unknown
    settle = "assume_sent" if decision == "sent" else decision
    return await _ask(ctx, effect, queue, ReconcileCall(message_id=unknown.message_id, settle=settle))


async def _ask(ctx: Context, effect: Effect, queue: str, question: ReconcileCall) -> SendResult:
    summary = f"{effect.step}: reconcile"
    result: SendResult = await call(ctx, contract.RECONCILE_MESSAGE, queue, question, SendResult, summary)
    return result


def _stop_if_ended(ctx: Context, result: SendResult | EffectResult) -> None:
    """End the run where the database says that it is over: it hears of a goal before the signal does."""
    if result.outcome == "ended":
        if result.reason == "goal":
            ctx.memory.end("converted", "goal")
        else:
            ctx.memory.end("exited", "no longer enrolled")
