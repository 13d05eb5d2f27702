"""Runs with recorded histories, which test determinism. Together they use every instruction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.contract import AwaitedCondition, ResolvedWait, SendResult
from tests.replay.signals import (
    Handle,
    cancel,
    click,
    click_by_a_slow_clock,
    click_with_a_date,
    meet_condition,
    move_date,
    nobody,
    odd_signals,
    reach_goal,
    skip_wait,
    tell_much,
    three_at_once,
)
from tests.workflows.scripted import SENT, Script
from tracks.runs.program import (
    Arm,
    Branch,
    Break,
    Case,
    Effect,
    Exit,
    Jump,
    Repeat,
    Split,
    Wait,
    WaitCondition,
    WaitDate,
    WaitFor,
    WaitMoment,
    WaitUntil,
)
from tracks.shared.run_clock import Clock

DAY = 86400.0
UNKNOWN = SendResult(outcome="unknown", message_id="m-1")


@dataclass
class Scenario:
    """A program, the results of its activities, and the signals and commands to the run."""

    code: Sequence[Any]
    script: Callable[[], Script] = Script
    meanwhile: Callable[[Handle], Awaitable[None]] = nobody
    given: dict[str, Any] = field(default_factory=dict)


def _moments() -> Script:
    now = datetime.now(UTC)
    return Script(moments=[ResolvedWait(outcome="at", at=now + timedelta(days=days)) for days in (40, 3)])


def _conditions() -> Script:
    return Script(conditions=[AwaitedCondition(outcome=outcome) for outcome in ("waiting", "met", "waiting")])


def _moments_computed() -> Script:
    later = datetime.now(UTC) + timedelta(days=40)
    return Script(moments=[ResolvedWait(outcome="at", at=later), ResolvedWait(outcome="past")])


CLICK = [
    Effect(step="hello", kind="email"),
    Wait(step="settle", seconds=2 * DAY),
    WaitFor(step="click", event="clicked", seconds=3 * DAY, since="enrollment", timeout=6),
    Branch(step="which", cases=(Case(when='event.properties.link == "pricing"', goto=4),), otherwise=6),
    Effect(step="pricing", kind="sms"),
    Exit(step="done", reason="clicked"),
    Effect(step="reminder", kind="email"),
]

SLOW_CLOCK = Scenario(
    [
        WaitFor(step="click", event="clicked", seconds=3 * DAY, timeout=2),
        Exit(step="done", reason="clicked"),
        Effect(step="reminder", kind="email"),
    ],
    meanwhile=click_by_a_slow_clock,
)

DATED = Scenario(
    [
        WaitFor(step="click", event="clicked", seconds=3 * DAY, timeout=1),
        Branch(step="since", cases=(Case(when="timestamp(event.properties.since) < now", goto=2),), otherwise=3),
        Wait(step="a-customer", seconds=DAY),
        Effect(step="thanks", kind="email"),
    ],
    meanwhile=click_with_a_date,
)

SCENARIOS: dict[str, Scenario] = {
    "date-without-time-failed": DATED,  # recorded before the patch `conditions-bounded`
    "date-without-time": DATED,
    "slow-clock-ignored": SLOW_CLOCK,  # recorded before the patch `clocks-apart`
    "slow-clock": SLOW_CLOCK,
    "five-steps-clicked": Scenario(CLICK, meanwhile=click),
    "five-steps-silent": Scenario(CLICK),
    "five-steps-at-once": Scenario(CLICK, script=lambda: Script(at_once=True), meanwhile=click),
    "at-once-then-queued": Scenario(
        [
            Effect(step="refused", kind="email"),
            Effect(step="unknown", kind="sms"),
            Effect(step="nudge", kind="send", channels=("email", "sms")),
            Effect(step="fine", kind="email"),
        ],
        script=lambda: Script(
            at_once=True,
            sends={
                "refused": [ApplicationError("down", type="ProviderUnavailable"), SENT],
                "unknown": [UNKNOWN],
                "nudge": [
                    SendResult(outcome="elsewhere", channel="sms"),
                    SendResult(outcome="deferred", reason="quiet", until=datetime.now(UTC) + timedelta(hours=9)),
                    SENT,
                ],
            },
        ),
    ),
    "queued": Scenario(CLICK, meanwhile=click),
    "goal-amid-wait": Scenario([Wait(step="long", seconds=20 * DAY)], meanwhile=reach_goal),
    "effects-of-every-kind": Scenario(
        [
            Effect(step="stage", kind="crm"),
            Effect(step="mark", kind="set"),
            Split(step="ab", arms=(Arm(name="a", weight=1, goto=3), Arm(name="b", weight=1, goto=3))),
            Branch(step="role", cases=(Case(when="contact.has_email", goto=4),), otherwise=5, stored=True),
            Effect(step="mail", kind="email"),
        ],
        script=lambda: Script(branches={"role": 0}),
    ),
    "weeks-continued-as-new": Scenario(
        [
            Repeat(step="weekly", times=6, end=4),
            Wait(step="week", seconds=7 * DAY),
            Effect(step="digest", kind="email"),
            Jump(goto=0),
            Wait(step="long", seconds=70 * DAY),
        ],
        given={"continue_after": 30},
    ),
    "date-moved": Scenario(
        [WaitDate(step="renewal", missing=1, past=1), WaitUntil(step="morning")],
        script=_moments,
        meanwhile=move_date,
    ),
    "moments-computed-once": Scenario(
        [
            WaitMoment(step="usage", kind="wait", missing=1, past=1),
            WaitMoment(step="day-ten", kind="wait_until", missing=3, past=2),
            Exit(step="over", reason="over"),
        ],
        script=_moments_computed,
        meanwhile=move_date,
    ),
    "conditions-awaited": Scenario(
        [
            WaitCondition(step="team", seconds=14 * DAY, timeout=1),
            WaitCondition(step="at-once", seconds=DAY, timeout=2),
            WaitCondition(step="never", seconds=70 * DAY, timeout=3),
        ],
        script=_conditions,
        meanwhile=meet_condition,
    ),
    "unknown-assumed-sent": Scenario(
        [Effect(step="hello", kind="email")],
        script=lambda: Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SENT]),
    ),
    "deferred-and-failed": Scenario(
        [Effect(step="hello", kind="email"), Effect(step="text", kind="sms")],
        script=lambda: Script(
            sends={
                "hello": [
                    SendResult(outcome="deferred", reason="quiet", until=datetime.now(UTC) + timedelta(hours=9)),
                    SENT,
                ],
                "text": [SendResult(outcome="failed", reason="no address")],
            }
        ),
    ),
    "channel-chosen-then-put-off": Scenario(
        [
            Effect(step="gone", kind="email", skipped=2),
            Effect(step="never", kind="email"),
            Effect(step="nudge", kind="send", channels=("email", "sms"), failed=4),
            Exit(step="fine", reason="sent"),
            Effect(step="tell", kind="crm"),
        ],
        script=lambda: Script(
            sends={
                "gone": [SendResult(outcome="skipped", reason="no address")],
                "nudge": [
                    SendResult(outcome="elsewhere", channel="sms"),
                    SendResult(outcome="deferred", reason="paused"),
                    SendResult(outcome="deferred", reason="paused", until=datetime.now(UTC) + timedelta(days=70)),
                    SendResult(outcome="failed", reason="twilio:21610"),
                ],
            }
        ),
        given={"continue_after": 30},
    ),
    "counted-and-left": Scenario(
        [
            WaitFor(step="once", event="viewed", seconds=DAY, timeout=1),
            Repeat(step="rounds", times=1000, end=6),
            WaitFor(step="view", event="viewed", seconds=DAY, since="enrollment", timeout=5),
            Effect(step="task", kind="crm"),
            Jump(goto=1),
            Break(step="silent", repeat="rounds", goto=6),
        ],
        meanwhile=three_at_once,
    ),
    "told-enough": Scenario(
        [
            Wait(step="long", seconds=20 * DAY),
            WaitFor(step="view", event="viewed", seconds=DAY, since="enrollment", timeout=2),
        ],
        meanwhile=tell_much,
        given={"continue_after": 30},
    ),
    "due-in-an-outage": Scenario(
        [
            Wait(step="over", seconds=1800),
            Wait(step="under-way", seconds=7200),
            WaitFor(step="view", event="viewed", seconds=60, timeout=3),
        ],
        given={"clock": Clock(origin=datetime.now(UTC) - timedelta(hours=1))},
    ),
    "paced": Scenario(
        [
            Wait(step="day", seconds=DAY),
            Effect(step="hello", kind="email"),
            WaitFor(step="click", event="clicked", seconds=DAY / 2, since="hello", timeout=3),
            WaitUntil(step="eleven"),
            Effect(step="reminder", kind="email"),
        ],
        script=lambda: Script(
            at_once=True, moments=[ResolvedWait(outcome="at", at=datetime.now(UTC) + timedelta(days=3))]
        ),
        given={"clock": Clock.of(datetime.now(UTC), DAY)},
    ),
    "path-reported": Scenario(
        [
            Repeat(step="rounds", times=205, end=3),
            Split(step="ab", arms=(Arm(name="a", weight=1, goto=2),)),
            Jump(goto=0),
            Wait(step="short", seconds=60),
        ],
    ),
    "cancelled": Scenario([Wait(step="long", seconds=20 * DAY)], meanwhile=cancel),
    "odd-signals": Scenario([Wait(step="short", seconds=60)], meanwhile=odd_signals),
    "wait-skipped": Scenario([Wait(step="long", seconds=20 * DAY)], meanwhile=skip_wait),
}
