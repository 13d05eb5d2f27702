"""Compile a nested track into the flat program: every block becomes a run of instructions, joined by jumps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, cast

from tracks.compiler.event_texts import reads_event
from tracks.compiler.interests import awaited_attributes, event_properties, interests
from tracks.conditions.expressions import read
from tracks.model.steps.effects import Email, Sms
from tracks.model.steps.simple_steps import Base, BreakStep, Ending, ExitStep
from tracks.model.steps.steps import (
    BranchStep,
    Detour,
    HandoffStep,
    Length,
    MessageStep,
    RepeatStep,
    SendStep,
    SplitStep,
    Steps,
    WaitDateStep,
    WaitForStep,
    WaitStep,
    WaitUntilStep,
)
from tracks.model.track import Track
from tracks.model.track import find_step as find_step
from tracks.runs.program import (
    Arm,
    Branch,
    Break,
    Case,
    Compiled,
    Effect,
    EffectKind,
    Exit,
    Handoff,
    Instruction,
    Jump,
    Program,
    Repeat,
    Split,
    UnknownPolicy,
    Wait,
    WaitCondition,
    WaitDate,
    WaitFor,
    WaitMoment,
    WaitUntil,
)

DATE_MISSING = "date-missing"
DATE_PAST = "date-past"
"""Reasons of the exit that follows a `wait_date` step."""
LENGTH_MISSING: Literal["length-missing"] = "length-missing"
DAY_PAST: Literal["day-past"] = "day-past"
"""Reasons of the exit that follows a `wait` with a computed length, and a `wait_until` with a day of the run."""
MESSAGE_SKIPPED = "message-skipped"
MESSAGE_FAILED = "message-failed"
"""Reasons of the exit that follows a message step."""
NOT_HANDED_OVER = "not-handed-over"
"""Reason of the exit that follows a handoff."""


def compile_track(track: Track) -> Compiled:
    """Everything that publishing derives from a valid track (see `tracks.checks.track_document`)."""
    return Compiled(
        program=Program(code=tuple(_Compiler(track).compile())),
        interests=tuple(interests(track)),
        attributes=awaited_attributes(track),
        event_properties=tuple(sorted(event_properties(track))),
    )


def _reads_store(condition: str) -> bool:
    """Whether the condition reads data that the workflow does not hold."""
    return any(
        path[0] == "contact" or path == ("enrollment",) or path[:2] == ("enrollment", "properties")
        for path in read(condition).paths
    )


class _Compiler:
    """Emits instructions in order. Jump targets that lie ahead are filled in when they are reached."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._code: list[Instruction] = []
        self._leaving: list[tuple[str, list[int]]] = []
        """The repeats around the current step: the id, and the positions of its `break` instructions."""

    def compile(self) -> list[Instruction]:
        self._block(self._track.steps)
        return self._code

    @property
    def _here(self) -> int:
        return len(self._code)

    def _block(self, steps: Steps) -> None:
        for step in steps:
            self._step(step)

    def _step(self, step: Base) -> None:
        match step:
            case WaitStep(wait=Length() as length):
                self._wait_moment(step.id, "wait", length.missing, LENGTH_MISSING)
            case WaitStep(wait=timedelta() as span):
                self._code.append(Wait(step=step.id, seconds=span.total_seconds()))
            case WaitUntilStep(wait_until=until) if until.day is not None:
                self._wait_moment(step.id, "wait_until", until.past, DAY_PAST)
            case WaitUntilStep():
                self._code.append(WaitUntil(step=step.id))
            case WaitDateStep():
                self._wait_date(step)
            case WaitForStep():
                self._wait_for(step)
            case HandoffStep():
                self._handoff(step)
            case BranchStep():
                at = self._hold()
                *starts, otherwise = self._arms([*(choice.steps for choice in step.branch), step.otherwise])
                stored = any(_reads_store(choice.when) for choice in step.branch)
                self._code[at] = Branch(
                    step=step.id,
                    cases=tuple(
                        Case(when="" if stored else choice.when, goto=start)
                        for choice, start in zip(step.branch, starts, strict=True)
                    ),
                    otherwise=otherwise,
                    stored=stored,
                )
            case SplitStep():
                at = self._hold()
                starts = self._arms([arm.steps for arm in step.split])
                self._code[at] = Split(
                    step=step.id,
                    arms=tuple(
                        Arm(name=arm.name, weight=arm.weight, goto=start)
                        for arm, start in zip(step.split, starts, strict=True)
                    ),
                )
            case RepeatStep():
                self._repeat(step)
            case BreakStep():
                repeat, breaks = self._leaving[-1]
                breaks.append(self._here)
                self._code.append(Break(step=step.id, repeat=repeat, goto=-1))
            case ExitStep():
                self._code.append(Exit(step=step.id, reason=step.exit.reason))
            case MessageStep():
                self._message(step)
            case _:
                self._code.append(Effect(step=step.id, kind=cast(EffectKind, step.kind), event=reads_event(step)))

    def _repeat(self, step: RepeatStep) -> None:
        at = self._hold()
        self._leaving.append((step.id, []))
        self._block(step.repeat.steps)
        _, breaks = self._leaving.pop()
        self._code.append(Jump(goto=at))
        self._code[at] = Repeat(step=step.id, times=step.repeat.times, end=self._here)
        for here in breaks:
            self._code[here] = cast(Break, self._code[here]).model_copy(update={"goto": self._here})

    def _message(self, step: MessageStep) -> None:
        at = self._hold()
        starts, _ = self._detours(step.id, ((step.skipped, MESSAGE_SKIPPED), (step.failed, MESSAGE_FAILED)))
        policies = [self._on_unknown(message) for message in step.messages]
        to = step.messages[0].to
        channels = tuple(offer.channel for offer in step.send.channels) if isinstance(step, SendStep) else ()
        self._code[at] = Effect(
            step=step.id,
            kind=cast(EffectKind, step.kind),
            on_unknown=policies[0],
            channels=channels,
            unknown_by_channel={
                channel: policy for channel, policy in zip(channels, policies, strict=False) if policy != policies[0]
            },
            skipped=starts.get(MESSAGE_SKIPPED),
            failed=starts.get(MESSAGE_FAILED),
            to="" if to is None else to.written,
            event=reads_event(step),
        )

    def _on_unknown(self, message: Email | Sms) -> UnknownPolicy:
        defaults = self._track.defaults
        return message.on_unknown or (defaults.email if isinstance(message, Email) else defaults.sms).on_unknown

    def _wait_for(self, step: WaitForStep) -> None:
        wait = step.wait_for
        at = self._hold()
        _, timeout = self._arms([wait.then, wait.otherwise])
        seconds = wait.within.total_seconds()
        if wait.event is None:
            self._code[at] = WaitCondition(step=step.id, seconds=seconds, timeout=timeout)
        else:
            self._code[at] = WaitFor(step=step.id, event=wait.event, seconds=seconds, since=wait.since, timeout=timeout)

    def _handoff(self, step: HandoffStep) -> None:
        handoff, none = step.handoff, step.handoff.when_none
        leaving: Steps = (ExitStep(id=step.id, exit=Ending(reason=NOT_HANDED_OVER)),) if none == "exit" else ()
        at = self._hold()
        _, rejected, expired, nobody = self._arms(
            [handoff.accepted, handoff.rejected, handoff.expired, none.steps if isinstance(none, Detour) else leaving]
        )
        self._code[at] = Handoff(
            step=step.id,
            seconds=handoff.due.total_seconds(),
            rejected=rejected,
            expired=expired,
            none=nobody,
            event=reads_event(step),
        )

    def _wait_date(self, step: WaitDateStep) -> None:
        date = step.wait_date
        at = self._hold()
        starts, end = self._detours(step.id, ((date.missing, DATE_MISSING), (date.past, DATE_PAST)))
        self._code[at] = WaitDate(step=step.id, missing=starts.get(DATE_MISSING, end), past=starts.get(DATE_PAST, end))

    def _wait_moment(
        self,
        step: str,
        kind: Literal["wait", "wait_until"],
        way: Detour | Literal["skip", "exit"] | None,
        reason: Literal["length-missing", "day-past"],
    ) -> None:
        at = self._hold()
        starts, end = self._detours(step, ((way, reason),))
        self._code[at] = WaitMoment(
            step=step, kind=kind, missing=starts.get(LENGTH_MISSING, end), past=starts.get(DAY_PAST, end)
        )

    def _detours(
        self, step: str, ways: Sequence[tuple[Detour | Literal["skip", "continue", "exit"] | None, str]]
    ) -> tuple[dict[str, int], int]:
        """Emit the alternative ways that may follow a step; each way comes with the reason of its exit.

        Returns the position where each way begins, by reason, and the position where all ways meet. A way that simply
        continues has no beginning.
        """
        detours = [(way, reason) for way, reason in ways if way not in (None, "skip", "continue")]
        over = self._hold() if detours else None  # in the normal case the run jumps over the detours
        starts: dict[str, int] = {}
        leaving: list[int] = []
        for number, (way, reason) in enumerate(detours):
            starts[reason] = self._here
            if isinstance(way, Detour):
                self._block(way.steps)
                if number + 1 < len(detours):
                    leaving.append(self._hold())
            else:
                self._code.append(Exit(step=step, reason=reason))
        end = self._here
        for jump in [*leaving, *([] if over is None else [over])]:
            self._code[jump] = Jump(goto=end)
        return starts, end

    def _arms(self, blocks: list[Steps]) -> list[int]:
        """Emit alternative blocks that all meet behind the last one; returns the position where each begins.

        An empty block begins at the meeting point, so that taking it costs no jump. Only the first block always has a
        place of its own, because a wait continues into it without a jump.
        """
        starts: list[int | None] = []
        jumps: list[int] = []
        last = max((index for index, block in enumerate(blocks) if block), default=0)
        for index, block in enumerate(blocks):
            if not block and index > 0:
                starts.append(None)
                continue
            starts.append(self._here)
            self._block(block)
            if index < last:
                jumps.append(self._hold())
        for jump in jumps:
            self._code[jump] = Jump(goto=self._here)
        return [self._here if start is None else start for start in starts]

    def _hold(self) -> int:
        """Reserve a position for an instruction whose targets are not known yet, and return the position."""
        self._code.append(Jump(goto=-1))
        return self._here - 1
