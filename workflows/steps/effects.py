"""The steps with an effect: messages, CRM, webhooks, attributes, enrolments.

An activity is given ids only. It looks up itself what it sends.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import EffectResult
    from tracks.runs.program import Effect

from workflows.run.local_activities import local
from workflows.run.run_context import Context
from workflows.steps.activity_calls import call, outcome_of_failure, step_call, stop_if_ended
from workflows.steps.sending import send

OUTSIDE = MappingProxyType(
    {
        "crm": (contract.UPDATE_CRM, contract.QUEUE_CRM),
        "webhook": (contract.CALL_WEBHOOK, contract.QUEUE_WEBHOOK),
    }
)
"""The activity and the queue of each effect that calls a provider or a system of yours."""
IN_DATABASE = MappingProxyType({"set": contract.SET_ATTRIBUTES, "enroll": contract.ENROLL_CONTACT})
"""The local activity of each effect that only writes to the database."""


async def perform(ctx: Context, effect: Effect) -> int | None:
    """Carry out one effect and record how it ended. An effect that fails raises nothing (law 12).

    Answers the program counter to go on at; None: go on with the next instruction.
    """
    ctx.show(effect.step, f"doing {effect.kind}")
    ctx.memory.acted = True
    if effect.kind in OUTSIDE or effect.kind in IN_DATABASE:
        await _act(ctx, effect)
        return None
    outcome = await send(ctx, effect)
    return {"skipped": effect.skipped, "failed": effect.failed}.get(outcome)


async def _act(ctx: Context, effect: Effect) -> None:
    given, summary = step_call(ctx, effect), f"{effect.step}: {effect.kind}"
    try:
        if effect.kind in IN_DATABASE:
            result: EffectResult = await local(IN_DATABASE[effect.kind], given, EffectResult, summary=summary)
        else:
            name, queue = OUTSIDE[effect.kind]
            result = await call(ctx, name, queue, given, EffectResult, summary)
    except (ActivityError, asyncio.CancelledError) as error:
        ctx.record(effect.step, effect.kind, *outcome_of_failure(ctx, error))
        return
    ctx.memory.reported(given.path)
    ctx.record(effect.step, effect.kind, *stop_if_ended(ctx, result.outcome, result.reason))
