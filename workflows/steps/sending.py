"""Sends one message: chooses the channel, waits as long as the policy defers it, reconciles an unknown outcome (law 3).

What the run has to know of a message that is not settled is in `Memory.message`. A message that is deferred for months
is carried through many runs by continue-as-new, and keeps its effect key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import ReconcileCall, SendResult, StepCall
    from tracks.runs.program import Effect, UnknownPolicy
    from tracks.runs.run_interface import MessageAmid, met_key

from workflows import patches, retry_policies
from workflows.run.run_context import Context
from workflows.steps.activity_calls import (
    RUN_ENDED,
    call,
    call_once,
    event_id,
    outcome_of_failure,
    step_call,
    stop_if_ended,
)

BY_CHANNEL = MappingProxyType(
    {
        "email": (contract.SEND_EMAIL_NOW, contract.SEND_EMAIL, contract.QUEUE_EMAIL),
        "sms": (contract.SEND_SMS_NOW, contract.SEND_SMS, contract.QUEUE_SMS),
    }
)
"""By channel: the local activity that sends at once, the activity that sends from the queue, and that queue."""

IN_THE_END: Mapping[UnknownPolicy, str] = MappingProxyType(
    {
        "assume_sent": "it counts as sent",
        "resend": "it is sent again",
        "review": "an operator decides",
    }
)
"""What happens to a message whose outcome stays unknown, by the policy of its step."""


async def send(ctx: Context, effect: Effect) -> str:
    """Send the message of an effect and record how it ended; answers the outcome."""
    sending = _Sending(ctx, effect)
    try:
        outcome, reason = stop_if_ended(ctx, *await sending.settled())
    except (ActivityError, asyncio.CancelledError) as error:
        outcome, reason = outcome_of_failure(ctx, error)
        if sending.message.unknown:
            outcome = "unknown"  # the message may have gone out, even if the question about it failed
    memory = ctx.memory
    if outcome == "sent":
        channel = sending.message.channel
        memory.sent[channel] = memory.sent.get(channel, 0) + 1
        if effect.to:
            reason = f"to {effect.to}: {reason}" if reason else f"to {effect.to}"
        if effect.channels:
            reason = f"{channel}: {reason}" if reason else channel
    memory.message = None
    memory.count(outcome)
    ctx.record(effect.step, effect.kind, outcome, reason)
    return outcome


class _Sending:
    def __init__(self, ctx: Context, effect: Effect) -> None:
        self._ctx = ctx
        self._effect = effect
        channels = effect.channels or (effect.kind,)
        if ctx.memory.message is None:
            ctx.memory.message = MessageAmid(channel=channels[0])

    @property
    def message(self) -> MessageAmid:
        """How far the message has come."""
        assert self._ctx.memory.message is not None
        return self._ctx.memory.message

    def _keep(self, **news: str | int) -> None:
        self._ctx.memory.message = self.message.model_copy(update=news)

    async def settled(self) -> tuple[str, str]:
        """Send, wait and send again until it is known how the message ended; answers the outcome and the reason."""
        ctx, step = self._ctx, self._effect.step
        due = ctx.carried()
        while True:
            if self.message.unknown:
                result = await self._reconcile(due)
            else:
                if due is not None:
                    ctx.memory.reach(await self._turn(due))
                    ctx.memory.acted = True
                    if ctx.ending:
                        return "skipped", RUN_ENDED
                result = await self._hand_over()
                if result.outcome == "unknown":
                    self._keep(unknown=result.message_id)
                    ctx.record(step, self._effect.kind, "unknown", "being reconciled")
                    due = None
                    continue
            if result.outcome != "deferred":
                return result.outcome, result.reason
            if ctx.ending:
                return "skipped", RUN_ENDED
            due = self._defer(result)

    async def _turn(self, due: datetime) -> datetime:
        """Wait until the message is due, or until the database says that nothing holds it any longer.

        Answers when its turn came, in real time.
        """
        ctx, step = self._ctx, self._effect.step
        key = met_key(step, ctx.memory.occurrences[step])
        await ctx.wait(step, self._turn_text(), due, lambda: key in ctx.memory.met, state="deferred")
        if key not in ctx.memory.met or ctx.ending:
            return due
        ctx.memory.met.discard(key)
        return min(due, workflow.now())

    async def _hand_over(self) -> SendResult:
        """Send by the first channel, or by the one that the database chose instead."""
        ctx, effect, chosen = self._ctx, self._effect, ""
        for _ in range(len(effect.channels) + 1):
            given = step_call(ctx, effect, chosen)
            result = await self._send_by(self.message.channel, given)
            if result.outcome != "elsewhere":
                ctx.memory.reported(given.path)
                return result
            if result.channel not in effect.channels:
                break
            chosen = result.channel
            self._keep(channel=chosen)
        return SendResult(outcome="failed", reason="no channel")

    async def _send_by(self, channel: str, given: StepCall) -> SendResult:
        """Send by a channel: at once if that is possible, else from the provider's queue."""
        now, in_turn, queue = BY_CHANNEL[channel]
        summary = f"{given.step}: {channel}" + (f" to {self._effect.to}" if self._effect.to else "")
        if workflow.patched(patches.SEND_NOW):
            # A local activity raises its failure without an ActivityError around it. The queue then tries again.
            with suppress(FailureError):
                at_once: SendResult = await call_once(now, given, SendResult, summary)
                if at_once.outcome != "queued":
                    return at_once
        result: SendResult = await call(self._ctx, in_turn, queue, given, SendResult, summary)
        return result

    def _turn_text(self) -> str:
        why = f": {self.message.why}" if self.message.why else ""
        return f"its turn ({self.message.deferred or 'later'}{why})"

    def _defer(self, result: SendResult) -> datetime | None:
        """Count a deferral, and record it once for each reason.

        Answers when to try the message again, in real time; None: at once.
        """
        ctx, now = self._ctx, self._ctx.now()
        least = now + ctx.given.clock.real_delay(retry_policies.ASK_AGAIN_AFTER)
        due: datetime | None = None
        if ctx.given.clock.jumps and self.message.unknown:
            pass  # It is sent again after an unknown outcome. That took real time and no time of the run's clock.
        elif result.until is not None and result.until > now:
            due = max(result.until, least)
        elif ctx.given.clock.jumps:
            due = workflow.now() + retry_policies.ASK_AGAIN_AFTER
        elif workflow.patched(patches.PAUSE_BETWEEN_TURNS):
            due = least
        ctx.memory.count("deferred")
        if result.reason != self.message.deferred or self.message.unknown:
            turn = f"until {ctx.given.clock.at(due or now):%Y-%m-%d %H:%M} UTC"
            detail = f"{result.reason}, {turn}" if result.reason else turn
            ctx.record(self._effect.step, self._effect.kind, "deferred", detail)
        self._keep(deferred=result.reason, why=result.why, unknown="", asked=0)
        return due

    async def _reconcile(self, due: datetime | None) -> SendResult:
        """Ask the ledger and the provider several times, then settle the message as the step says."""
        ctx, step = self._ctx, self._effect.step
        while self.message.asked < len(retry_policies.RECONCILE_AFTER):
            due = due or workflow.now() + retry_policies.RECONCILE_AFTER[self.message.asked]
            await ctx.wait(step, self._question_text(due), due, state="reconciling")
            self._keep(asked=self.message.asked + 1)
            result = await self._ask("")
            if result.outcome != "unknown" or ctx.ending:
                return result
            due = None
        policy = self._policy()
        return await self._review() if policy == "review" else await self._ask(policy)

    def _policy(self) -> UnknownPolicy:
        return self._effect.unknown_by_channel.get(self.message.channel, self._effect.on_unknown)

    def _question_text(self, due: datetime) -> str:
        """Text for Temporal UI: which question is next, and what happens if the last one finds nothing out."""
        asked, pauses = self.message.asked, retry_policies.RECONCILE_AFTER
        last = due + sum(pauses[asked + 1 :], timedelta(0))
        return (
            f"the provider's word on the message (question {asked + 1} of {len(pauses)}; "
            f"if the last finds nothing out, at about {last:%Y-%m-%d %H:%M} UTC, {IN_THE_END[self._policy()]})"
        )

    async def _review(self) -> SendResult:
        """Wait for an operator's decision, and settle the message by it."""
        ctx, step = self._ctx, self._effect.step
        ctx.reviewing = step
        await ctx.wait(
            step,
            "an operator's decision: was it sent? (update `resolve_message`: sent, resend or skip)",
            None,
            wake=lambda: ctx.decision is not None,
            state="needs_review",
        )
        ctx.reviewing = None
        decision, ctx.decision = ctx.decision, None
        if decision is None:
            return SendResult(outcome="unknown", reason=RUN_ENDED)
        return await self._ask("assume_sent" if decision == "sent" else decision)

    async def _ask(self, settle: Literal["", "assume_sent", "resend", "skip"]) -> SendResult:
        """Ask what became of the message; `settle` decides it where nobody knows."""
        _, _, queue = BY_CHANNEL[self.message.channel]
        question = ReconcileCall(
            message_id=self.message.unknown, settle=settle, event_id=event_id(self._ctx, self._effect)
        )
        summary = f"{self._effect.step}: reconcile"
        result: SendResult = await call(self._ctx, contract.RECONCILE_MESSAGE, queue, question, SendResult, summary)
        return result
