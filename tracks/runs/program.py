"""The flat program that a track compiles to. The workflow interprets it with a program counter.

It holds control flow only. The activity of an effect reads what to send or write from the track version in the
database, by step id, so that a history contains neither texts nor templates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tracks.runs.bot_engagement import By
from tracks.shared.payload_model import PayloadModel

EffectKind = Literal["email", "sms", "send", "crm", "webhook", "set", "enroll"]
UnknownPolicy = Literal["assume_sent", "resend", "review"]


class Effect(PayloadModel):
    """An effect outside the workflow: the activity named after `kind` finds the step by its id."""

    op: Literal["effect"] = "effect"
    step: str
    kind: EffectKind
    on_unknown: UnknownPolicy = "assume_sent"
    """For a `send`: the policy of the channels that `unknown_by_channel` does not name."""
    channels: tuple[str, ...] = ()
    """For a `send`: the channels that it may use, in the order written."""
    unknown_by_channel: dict[str, UnknownPolicy] = {}
    skipped: int | None = None
    """The program counter to continue at if the message was skipped; None: the next instruction."""
    failed: int | None = None
    """The same for a message that failed."""
    to: str = ""
    """Where the address of somebody else is found to whom the message goes; empty: to the contact. For people only."""
    event: bool = False
    """Whether its texts read the event that the latest wait matched: the activity is then told the event's id."""


class Wait(PayloadModel):
    """Wait a fixed time on the run's clock."""

    op: Literal["wait"] = "wait"
    step: str
    seconds: float


class WaitUntil(PayloadModel):
    """Wait for a local time of day and/or weekday in the contact's zone (resolved by an activity)."""

    op: Literal["wait_until"] = "wait_until"
    step: str


class WaitDate(PayloadModel):
    """Wait for a date among the contact's attributes (resolved by an activity, again when it changes)."""

    op: Literal["wait_date"] = "wait_date"
    step: str
    missing: int
    """The program counter to continue at if the attribute is missing or not a date."""
    past: int
    """The program counter to continue at if the moment is in the past."""


class WaitMoment(PayloadModel):
    """Wait for a moment that an activity computes once, when the step begins: a `wait` with a computed length, or a
    `wait_until` with a day of the run."""

    op: Literal["wait_moment"] = "wait_moment"
    step: str
    kind: Literal["wait", "wait_until"]
    """The step's verb."""
    missing: int
    """The program counter to continue at if there is no length."""
    past: int
    """The program counter to continue at if the moment is in the past."""


class WaitFor(PayloadModel):
    """Wait for an event, at most `seconds`. Continue at the next instruction, or at `timeout`."""

    op: Literal["wait_for"] = "wait_for"
    step: str
    event: str
    seconds: float
    since: str = "step"
    """Events from this moment on count: `step`, `enrollment`, or the id of an earlier step."""
    timeout: int


class Handoff(PayloadModel):
    """Hand the lead over to sales and wait for the answer, at most `seconds`. If accepted: the next instruction."""

    op: Literal["handoff"] = "handoff"
    step: str
    seconds: float
    rejected: int
    """The program counter to continue at if sales rejected the lead."""
    expired: int
    """The same where nobody answered in time."""
    none: int
    """The same where the lead could not be handed over."""
    event: bool = False
    """See `Effect`."""


class WaitCondition(PayloadModel):
    """Wait until a condition holds that an activity judges, at most `seconds`.

    Continue at the next instruction, or at `timeout`.
    """

    op: Literal["wait_condition"] = "wait_condition"
    step: str
    seconds: float
    timeout: int


class Case(PayloadModel):
    """One branch: its CEL condition (empty if the branch is `stored`) and where it continues."""

    when: str = ""
    goto: int


class Branch(PayloadModel):
    """Continue at the first case whose condition is true, else at `otherwise`."""

    op: Literal["branch"] = "branch"
    step: str
    cases: tuple[Case, ...]
    otherwise: int
    stored: bool = False
    """A condition reads `contact` or `enrollment.properties`: a local activity, which has the data, evaluates them."""


class Arm(PayloadModel):
    """One variant of a split."""

    name: str
    weight: int
    goto: int


class Split(PayloadModel):
    """Continue at one arm, chosen by weight. The same contact always gets the same arm of the same split."""

    op: Literal["split"] = "split"
    step: str
    arms: tuple[Arm, ...]


class Repeat(PayloadModel):
    """Run the body (the next instruction up to a jump back here) `times` times, then continue at `end`."""

    op: Literal["repeat"] = "repeat"
    step: str
    times: int
    end: int


class Break(PayloadModel):
    """Leave the innermost repeat, whose id is `repeat`, and continue at `goto`."""

    op: Literal["break"] = "break"
    step: str
    repeat: str
    goto: int


class Jump(PayloadModel):
    """Continue elsewhere. A jump belongs to the shape of the program, not to a step."""

    op: Literal["jump"] = "jump"
    goto: int


class Exit(PayloadModel):
    """End the run here, with a reason."""

    op: Literal["exit"] = "exit"
    step: str
    reason: str = "exit"


Instruction = Annotated[
    Effect
    | Wait
    | WaitUntil
    | WaitDate
    | WaitMoment
    | WaitFor
    | WaitCondition
    | Handoff
    | Branch
    | Split
    | Repeat
    | Break
    | Jump
    | Exit,
    Field(discriminator="op"),
]


class Program(PayloadModel):
    """Instructions in order; the run completes when the counter passes the last one."""

    code: tuple[Instruction, ...]


class Interest(PayloadModel):
    """An event that a live run of the track can react to. It is stored with the track version, not in history.

    `match` is what the signal tells the workflow: `goal`, `exit:<reason of the exit rule>` or
    `step:<id of the wait_for step>`. With `of`, only an event about the message that this run sent at that step counts.
    """

    event: str
    match: str
    where: str | None = None
    of: str = ""
    by: tuple[By, ...] = ("human",)
    """Whose clicks and opens count (see `tracks.runs.bot_engagement`)."""


class Compiled(PayloadModel):
    """Everything that publishing derives from a track version."""

    program: Program
    interests: tuple[Interest, ...] = ()
    attributes: tuple[str, ...] = ()
    """The contact attributes that `wait_date` steps read; a change of one re-evaluates the wait."""
    event_properties: tuple[str, ...] = ()
    """The event properties that branch conditions inside the workflow read; a signal carries no others."""
