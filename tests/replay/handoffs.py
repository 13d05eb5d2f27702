"""Runs that hand a lead over to sales, with recorded histories: each way that the step can end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from activities.contract import HandedOver, SendResult, SettledHandoff
from tests.replay.scenarios import DAY, Scenario
from tests.replay.signals import Handle
from tests.workflows.scripted import SENT, Script
from tracks.runs.handoff_answers import event_id, event_of
from tracks.runs.program import Branch, Case, Effect, Exit, Handoff
from tracks.runs.run_interface import AttributesChanged, EventSignal, Matched, met_key

CODE = [
    Handoff(step="sales", seconds=2 * DAY, rejected=2, expired=5, none=6),
    Exit(step="taken", reason="with-sales"),
    Branch(step="why", cases=(Case(when='event.properties.reason == "no-fit"', goto=3),), otherwise=4),
    Exit(step="refused", reason="no-fit"),
    Exit(step="other", reason="other"),
    Effect(step="silent", kind="email"),
    Effect(step="nobody", kind="sms"),
]


async def _reject(run: Handle) -> None:
    await asyncio.sleep(0.3)
    key = f"{run.id.rpartition('/')[2]}/sales/1"
    event = EventSignal(
        event_id=event_id(key, "rejected"),
        name=event_of("rejected"),
        at=datetime.now(UTC),
        matches=("step:sales",),
        properties={"reason": "no-fit"},
    )
    await run.signal("event", event)


async def _reach_goal(run: Handle) -> None:
    await asyncio.sleep(0.3)
    event = EventSignal(event_id="e-1", name="bought", at=datetime.now(UTC), matches=("goal",))
    await run.signal("event", event)


async def _let_go(run: Handle) -> None:
    await asyncio.sleep(0.3)
    await run.signal("attributes_changed", AttributesChanged(change_id="a-1", names=(), met=met_key("hello", 1)))


def _held() -> Script:
    until = datetime.now(UTC) + timedelta(days=20)
    return Script(sends={"hello": [SendResult(outcome="deferred", reason="with sales", until=until), SENT]})


def _accepted_unheard() -> Script:
    event = Matched(event_id="e-1", name="handoff.accepted", at=datetime.now(UTC))
    return Script(settled=SettledHandoff(outcome="accepted", event=event))


HANDOFFS: dict[str, Scenario] = {
    "handoff-rejected": Scenario(CODE, meanwhile=_reject),
    "handoff-expired": Scenario(CODE),
    "handoff-accepted-unheard": Scenario(CODE, script=_accepted_unheard),
    "handoff-to-nobody": Scenario(CODE, script=lambda: Script(handed_over=HandedOver(outcome="skipped"))),
    "held-by-sales": Scenario([Effect(step="hello", kind="email")], script=_held, meanwhile=_let_go),
    "handoff-goal": Scenario(CODE, meanwhile=_reach_goal),
}
