"""The flat program that a track compiles to: what the workflow interprets with a program counter.

It holds control flow only. What an effect sends or writes is read by its activity from the track version
in the database, by step id, so that a history carries neither texts nor templates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tracks.program.engagement import By
from tracks.shared.wire import Wire

EffectKind = Literal["email", "sms", "send", "crm", "webhook", "set", "enroll"]
UnknownPolicy = Literal["assume_sent", "resend", "review"]


class Effect(Wire):
    """Do something outside: the activity named after `kind` looks the step up by its id."""

    op: Literal["effect"] = "effect"
    step: str
    kind: EffectKind
    on_unknown: UnknownPolicy = "assume_sent"
    """For a `send`, that of the channels which `unknown_by_channel` does not name."""
    channels: tuple[str, ...] = ()
    """For a `send`: the channels it may go out by, in the order written."""
    unknown_by_channel: dict[str, UnknownPolicy] = {}
    skipped: int | None = None
    """Program counter to go on at if the message was skipped; None: the next instruction."""
    failed: int | None = None
    """The same if it failed."""


class Wait(Wire):
    """Wait a fixed time on the run's clock."""

    op: Literal["wait"] = "wait"
    step: str
    seconds: float


class WaitUntil(Wire):
    """Wait for a local time of day and/or weekday in the contact's zone (resolved by an activity)."""

    op: Literal["wait_until"] = "wait_until"
    step: str


class WaitDate(Wire):
    """Wait for a date among the contact's attributes (resolved by an activity, again when it changes)."""

    op: Literal["wait_date"] = "wait_date"
    step: str
    missing: int
    """Program counter to go on at where the attribute is missing or not a date."""
    past: int
    """Program counter to go on at where the moment has passed already."""


class WaitFor(Wire):
    """Wait for an event, at most `seconds`; go on at the next instruction, or at `timeout`."""

    op: Literal["wait_for"] = "wait_for"
    step: str
    event: str
    seconds: float
    since: str = "step"
    """`step`, `enrollment`, or the id of an earlier step: events from then on count."""
    timeout: int


class Case(Wire):
    """One branch: its CEL condition (empty where the branch is `stored`) and where it goes."""

    when: str = ""
    goto: int


class Branch(Wire):
    """Go where the first true condition says, else `otherwise`."""

    op: Literal["branch"] = "branch"
    step: str
    cases: tuple[Case, ...]
    otherwise: int
    stored: bool = False
    """A condition reads `contact` or `enrollment.properties`: decided by a local activity beside the data."""


class Arm(Wire):
    """One variant of a split."""

    name: str
    weight: int
    goto: int


class Split(Wire):
    """Go to one arm by weight; the same contact always gets the same arm of the same split."""

    op: Literal["split"] = "split"
    step: str
    arms: tuple[Arm, ...]


class Repeat(Wire):
    """Run the body (the next instruction up to a jump back here) `times` times, then go on at `end`."""

    op: Literal["repeat"] = "repeat"
    step: str
    times: int
    end: int


class Break(Wire):
    """Leave the innermost repeat around it, whose id is `repeat`; go on at `goto`."""

    op: Literal["break"] = "break"
    step: str
    repeat: str
    goto: int


class Jump(Wire):
    """Go on elsewhere; belongs to the shape of the program, not to any step."""

    op: Literal["jump"] = "jump"
    goto: int


class Exit(Wire):
    """End the run here, with a reason."""

    op: Literal["exit"] = "exit"
    step: str
    reason: str = "exit"


Instruction = Annotated[
    Effect | Wait | WaitUntil | WaitDate | WaitFor | Branch | Split | Repeat | Break | Jump | Exit,
    Field(discriminator="op"),
]


class Program(Wire):
    """Instructions in order; the run completes when the counter passes the last one."""

    code: tuple[Instruction, ...]


class Interest(Wire):
    """An event that a live run of the track can react to. Kept with the track version, not in history.

    `match` is what the signal tells the workflow: `goal`, `exit:<reason of the exit rule>` or
    `step:<id of the wait_for step>`. With `of`, only an event about the message that this very run sent at that step.
    """

    event: str
    match: str
    where: str | None = None
    of: str = ""
    by: tuple[By, ...] = ("human",)
    """Whose clicks and opens count (see `tracks.program.engagement`)."""


class Compiled(Wire):
    """All that publishing a track version derives from it."""

    program: Program
    interests: tuple[Interest, ...] = ()
    attributes: tuple[str, ...] = ()
    """Contact attributes whose change re-evaluates a wait (the `wait_date` steps)."""
    event_properties: tuple[str, ...] = ()
    """Event properties that in-workflow branch conditions read: the only ones a signal carries."""
