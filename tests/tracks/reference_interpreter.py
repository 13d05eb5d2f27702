"""A second implementation of the track language for tests: random tracks, and an interpreter of the tree of steps.
There is also a simple interpreter of compiled programs, so that both can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from tracks.model.steps.simple_steps import ExitStep
from tracks.model.steps.steps import (
    MESSAGES,
    BranchStep,
    Detour,
    HandoffStep,
    Length,
    MessageStep,
    RepeatStep,
    SplitStep,
    Steps,
    WaitDateStep,
    WaitForStep,
    WaitStep,
    WaitUntilStep,
)
from tracks.model.track import Track, blocks
from tracks.runs.program import (
    Branch,
    Effect,
    Exit,
    Handoff,
    Instruction,
    Jump,
    Program,
    Repeat,
    Split,
    Wait,
    WaitCondition,
    WaitDate,
    WaitFor,
    WaitMoment,
    WaitUntil,
)

LONGEST = 2_000
_TEXT = {"text": "hi", "from": "ACME"}


class Choices:
    """What happens to a run: for each visit of a step, both interpreters get the same choice."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._visits: Counter[str] = Counter()

    def choose(self, step: str, ways: int) -> int:
        self._visits[step] += 1
        return crc32(f"{self._seed}/{step}/{self._visits[step]}".encode()) % ways


class _Ended(Exception):
    pass


def walk_tree(written: Track, choices: Choices) -> list[str]:
    """The path of a run, by the nested steps."""
    trace: list[str] = []

    def turn(step: str, way: object, reason: str) -> None:
        if isinstance(way, Detour):
            take(way.steps)
        elif way == "exit":
            trace.append(f"{step} exit {reason}")
            raise _Ended

    def take(steps: Steps) -> None:
        for step in steps:
            if len(trace) > LONGEST:
                raise _Ended
            match step:
                case ExitStep():
                    trace.append(f"{step.id} exit {step.exit.reason}")
                    raise _Ended
                case RepeatStep():
                    for _ in range(step.repeat.times):
                        trace.append(f"{step.id} round")
                        take(step.repeat.steps)
                case WaitForStep():
                    way = choices.choose(step.id, 2)
                    trace.append(f"{step.id} {way}")
                    take((step.wait_for.then, step.wait_for.otherwise)[way])
                case HandoffStep(handoff=handoff):
                    way = choices.choose(step.id, 4)
                    trace.append(f"{step.id} {way}")
                    if way == 3:
                        turn(step.id, handoff.when_none, "not-handed-over")
                    else:
                        take((handoff.accepted, handoff.rejected, handoff.expired)[way])
                case WaitStep(wait=Length(missing=detour)):
                    way = choices.choose(step.id, 3)
                    trace.append(f"{step.id} {way}")
                    turn(step.id, ("skip", detour, "skip")[way], "length-missing")
                case WaitUntilStep(wait_until=until) if until.day is not None:
                    way = choices.choose(step.id, 3)
                    trace.append(f"{step.id} {way}")
                    turn(step.id, ("skip", "skip", until.past or "skip")[way], "day-past")
                case WaitDateStep():
                    way = choices.choose(step.id, 3)
                    trace.append(f"{step.id} {way}")
                    date = step.wait_date
                    turn(step.id, ("skip", date.missing, date.past)[way], ("", "date-missing", "date-past")[way])
                case MessageStep():
                    way = choices.choose(step.id, 3)
                    trace.append(f"{step.id} {step.kind} {way}")
                    after = ("continue", step.skipped, step.failed)[way]
                    turn(step.id, after, ("", "message-skipped", "message-failed")[way])
                case BranchStep() | SplitStep():
                    arms = list(blocks(step))
                    way = choices.choose(step.id, len(arms))
                    trace.append(f"{step.id} {way}")
                    take(arms[way])
                case _:
                    trace.append(f"{step.id} {step.kind}")

    try:
        take(written.steps)
    except _Ended:
        pass
    return trace[:LONGEST]


def run_flat(program: Program, choices: Choices) -> list[str]:
    """The path of a run, by the program counter."""
    trace: list[str] = []
    rounds: Counter[int] = Counter()
    pc = 0
    while 0 <= pc < len(program.code) and len(trace) <= LONGEST:
        at, pc = pc, pc + 1
        match program.code[at]:
            case Jump(goto=goto):
                pc = goto
            case Exit(step=step, reason=reason):
                trace.append(f"{step} exit {reason}")
                break
            case Repeat(step=step, times=times, end=end):
                if rounds[at] < times:
                    rounds[at] += 1
                    trace.append(f"{step} round")
                else:
                    rounds[at] = 0
                    pc = end
            case WaitFor(step=step, timeout=timeout) | WaitCondition(step=step, timeout=timeout):
                way = choices.choose(step, 2)
                trace.append(f"{step} {way}")
                pc = (pc, timeout)[way]
            case Handoff(step=step, rejected=rejected, expired=expired, none=none):
                way = choices.choose(step, 4)
                trace.append(f"{step} {way}")
                pc = (pc, rejected, expired, none)[way]
            case WaitDate(step=step, missing=missing, past=past) | WaitMoment(step=step, missing=missing, past=past):
                way = choices.choose(step, 3)
                trace.append(f"{step} {way}")
                pc = (pc, missing, past)[way]
            case Branch(step=step, cases=cases, otherwise=otherwise):
                way = choices.choose(step, len(cases) + 1)
                trace.append(f"{step} {way}")
                pc = [*(case.goto for case in cases), otherwise][way]
            case Split(step=step, arms=arms):
                way = choices.choose(step, len(arms))
                trace.append(f"{step} {way}")
                pc = arms[way].goto
            case Wait(step=step):
                trace.append(f"{step} wait")
            case WaitUntil(step=step):
                trace.append(f"{step} wait_until")
            case Effect(step=step, kind=kind, skipped=skipped, failed=failed) if kind in MESSAGES:
                way = choices.choose(step, 3)
                trace.append(f"{step} {kind} {way}")
                onward = (None, skipped, failed)[way]
                pc = pc if onward is None else onward
            case Effect(step=step, kind=kind):
                trace.append(f"{step} {kind}")
    return trace[:LONGEST]


def targets(instruction: Instruction) -> Iterator[int]:
    match instruction:
        case Jump(goto=goto):
            yield goto
        case Repeat(end=end):
            yield end
        case WaitFor(timeout=timeout) | WaitCondition(timeout=timeout):
            yield timeout
        case Handoff(rejected=rejected, expired=expired, none=none):
            yield from (rejected, expired, none)
        case WaitDate(missing=missing, past=past) | WaitMoment(missing=missing, past=past):
            yield from (missing, past)
        case Branch(cases=cases, otherwise=otherwise):
            yield from (*(case.goto for case in cases), otherwise)
        case Split(arms=arms):
            yield from (arm.goto for arm in arms)
        case Effect(skipped=skipped, failed=failed):
            yield from (way for way in (skipped, failed) if way is not None)


class Author:
    """Writes random tracks with many nested choices."""

    def __init__(self, seed: int, verbs: tuple[str, ...]) -> None:
        self._random = Random(seed)
        self._verbs = verbs
        self._number = 0

    def steps(self, depth: int, least: int = 0) -> list[dict[str, Any]]:
        return [self._step(depth) for _ in range(self._random.randint(least, 3))]

    def _step(self, depth: int) -> dict[str, Any]:
        self._number += 1
        step_id = f"s{self._number}"
        simple = self._random.random() < (0.4 if depth else 1)
        return {"id": step_id, **(self._simple() if simple else self._choosing(depth - 1))}

    def _simple(self) -> dict[str, Any]:
        plain: list[dict[str, Any]] = [
            {"wait": "2d"},
            {"wait_until": {"time": "09:00"}},
            {"sms": _TEXT},
            {"set": {"attributes": {"a": 1}}},
            {"exit": {"reason": "done"}},
        ]
        return self._random.choices(plain, weights=[3, 3, 3, 3, 1])[0]

    def _choosing(self, depth: int) -> dict[str, Any]:
        match self._random.choice(self._verbs):
            case "wait_for":
                cause = self._random.choice([{"event": "x"}, {"condition": "contact.has_phone"}])
                return {"wait_for": {**cause, "within": "1d", "then": self.steps(depth), "else": self.steps(depth)}}
            case "handoff":
                ways = {key: self.steps(depth) for key in ("accepted", "rejected", "expired") if self._few() > 1}
                asked = {"to": "sales", "reason": "Call", "due": "1d", "when_none": self._way(depth)}
                return {"handoff": {**asked, **ways}}
            case "wait_date":
                return {"wait_date": {"attribute": "x", "missing": self._way(depth), "past": self._way(depth)}}
            case "wait":
                return {"wait": {"days": "enrollment.properties.days", "missing": self._way(depth)}}
            case "wait_until":
                return {"wait_until": {"day": 3, "past": self._way(depth)}}
            case "message":
                offers = [{"sms": _TEXT}, {"email": {"template": "a", "from": "a@b.test"}}]
                messages: list[dict[str, Any]] = [{"sms": _TEXT}, {"send": {"channels": offers}}]
                ways = {key: self._way(depth, "continue") for key in ("skipped", "failed") if self._few() > 1}
                return {**self._random.choice(messages), **ways}
            case "branch":
                cases = [{"when": "contact.has_phone", "steps": self.steps(depth)} for _ in range(self._few())]
                return {"branch": cases, "else": self.steps(depth)}
            case "split":
                arms = [{"name": f"a{n}", "weight": 1, "steps": self.steps(depth)} for n in range(self._few() + 1)]
                return {"split": arms}
            case _:
                return {"repeat": {"times": self._few(), "steps": self.steps(depth, 1)}}

    def _way(self, depth: int, word: str = "skip") -> Any:
        return self._random.choice([word, "exit", {"steps": self.steps(depth)}, {"steps": self.steps(depth)}])

    def _few(self) -> int:
        return self._random.randint(1, 3)


CHOICES = ("wait_for", "handoff", "wait", "wait_until", "wait_date", "message", "branch", "split")


def tracks(verbs: tuple[str, ...] = (*CHOICES, "repeat")) -> st.SearchStrategy[Track]:
    """Random tracks, nested up to three levels, with these choosing verbs and all simple ones."""
    return st.integers(0, 2**32).map(
        lambda seed: Track.model_validate({"track": "random", "steps": Author(seed, verbs).steps(3, 1)})
    )
