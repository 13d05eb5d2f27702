"""The activities of a rehearsed run, simulated: every message counts as sent and every effect as done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio import activity

from activities import contract
from activities.contract import (
    AwaitConditionCall,
    AwaitedCondition,
    BranchCall,
    CloseCall,
    Decided,
    EffectResult,
    HandedOver,
    ReconcileCall,
    ReportCall,
    ResolvedWait,
    ResolveWaitCall,
    SendResult,
    SettledHandoff,
    SettleHandoffCall,
    StepCall,
    UndeliveredCall,
)
from activities.runs.decisions import decide
from activities.runs.moments import Waiting, moment_of
from store.schema.rows import Contact
from tracks.compiler.compiler import find_step
from tracks.conditions.conditions import ConditionError, evaluate
from tracks.model.steps.steps import BranchStep, HandoffStep, WaitForStep
from tracks.model.track import Track
from tracks.runs.run_interface import PathEntry
from tracks.shared.effect_keys import effect_key


@dataclass
class Part:
    """One simulated run."""

    track: Track
    contact: Contact
    properties: Mapping[str, Any]
    origin: datetime
    entry: str | None = None
    path: dict[int, PathEntry] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict)
    """The effect key of each step's last handoff."""

    def enrollment(self, enrollment_id: str, steps: Mapping[str, str]) -> dict[str, Any]:
        own = {"id": enrollment_id, "track": self.track.track, "version": 1}
        own |= {} if self.entry is None else {"entry": self.entry}
        return own | {"properties": self.properties, "steps": dict(steps)}


class SimulatedActivities:
    """All activities, simulated."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}

    def _note(self, call: StepCall | CloseCall | ReportCall) -> None:
        self.parts[call.enrollment_id].path.update((entry.seq, entry) for entry in call.path)

    @activity.defn(name=contract.SEND_EMAIL_NOW)
    async def send_email_now(self, call: StepCall) -> SendResult:
        return self._sent(call, "email")

    @activity.defn(name=contract.SEND_SMS_NOW)
    async def send_sms_now(self, call: StepCall) -> SendResult:
        return self._sent(call, "sms")

    def _sent(self, call: StepCall, channel: str) -> SendResult:
        self._note(call)
        return SendResult(outcome="sent", message_id=f"{call.step}-{call.occurrence}", channel=channel)

    @activity.defn(name=contract.RECONCILE_MESSAGE)
    async def reconcile_message(self, call: ReconcileCall) -> SendResult:
        return SendResult(outcome="sent", message_id=call.message_id)

    @activity.defn(name=contract.UPDATE_CRM)
    async def update_crm(self, call: StepCall) -> EffectResult:
        return self._done(call)

    @activity.defn(name=contract.HAND_OVER)
    async def hand_over(self, call: StepCall) -> HandedOver:
        self._note(call)
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert isinstance(step, HandoffStep)
        part.handed[call.step] = effect_key(call.enrollment_id, call.step, call.occurrence)
        return HandedOver(outcome="waiting", due=activity.info().scheduled_time + step.handoff.due)

    @activity.defn(name=contract.SETTLE_HANDOFF)
    async def settle_handoff(self, _call: SettleHandoffCall) -> SettledHandoff:
        return SettledHandoff(outcome="expired")

    @activity.defn(name=contract.CALL_WEBHOOK)
    async def call_webhook(self, call: StepCall) -> EffectResult:
        return self._done(call)

    @activity.defn(name=contract.SET_ATTRIBUTES)
    async def set_attributes(self, call: StepCall) -> EffectResult:
        return self._done(call)

    @activity.defn(name=contract.ENROLL_CONTACT)
    async def enroll_contact(self, call: StepCall) -> EffectResult:
        return self._done(call)

    def _done(self, call: StepCall) -> EffectResult:
        self._note(call)
        return EffectResult(outcome="done")

    @activity.defn(name=contract.RESOLVE_WAIT)
    async def resolve_wait(self, call: ResolveWaitCall) -> ResolvedWait:
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert step is not None
        who = Waiting(part.contact, part.enrollment(call.enrollment_id, {}), part.origin, part.track)
        return moment_of(step, who, call.now)

    @activity.defn(name=contract.AWAIT_CONDITION)
    async def await_condition(self, call: AwaitConditionCall) -> AwaitedCondition:
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert isinstance(step, WaitForStep)
        given = {"contact": part.contact.view(), "enrollment": part.enrollment(call.enrollment_id, {})}
        met = step.wait_for.condition is not None and holds(step.wait_for.condition, given)
        return AwaitedCondition(outcome="met" if met else "waiting")

    @activity.defn(name=contract.DECIDE_BRANCH)
    async def decide_branch(self, call: BranchCall) -> int | Decided:
        part = self.parts[call.enrollment_id]
        step = find_step(part.track, call.step)
        assert isinstance(step, BranchStep)
        return decide(step, part.contact.view(), part.enrollment(call.enrollment_id, call.steps), call)[0]

    @activity.defn(name=contract.CLOSE_RUN)
    async def close_run(self, call: CloseCall) -> None:
        self._note(call)

    @activity.defn(name=contract.REPORT_PATH)
    async def report_path(self, call: ReportCall) -> None:
        self._note(call)

    @activity.defn(name=contract.COUNT_UNDELIVERED)
    async def count_undelivered(self, _call: UndeliveredCall) -> int:
        return 0


def holds(condition: str | None, context: Mapping[str, Any]) -> bool:
    """Whether a condition holds. One that cannot be evaluated is false, as in the API."""
    try:
        return condition is None or evaluate(condition, context)
    except ConditionError:
        return False
