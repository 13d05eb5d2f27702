"""Which step can follow which, computed from a track's raw data, so that it works on a track with other mistakes.

A malformed step counts as one that does nothing and continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tracks.model.steps.steps import MESSAGES
from tracks.shared.yaml_source import Path

Nodes = frozenset[Path]


_DETOURS = {"wait": ("missing",), "wait_until": ("past",), "wait_date": ("missing", "past")}
"""The keys of the waits that may lead elsewhere, by verb."""


class Flow:
    """The steps of a track's data by path, and the possible ways between them."""

    def __init__(self, steps: Any) -> None:
        self.steps: dict[Path, dict[str, Any]] = {}
        """Every step, in the order written."""
        self.siblings: dict[Path, Path | None] = {}
        """The step before it in the same block."""
        self._next: dict[Path, Nodes] = {}
        for path, step, before in _walk(steps, ("steps",)):
            self.steps[path] = step
            self.siblings[path] = before
        self._behind: list[Nodes] = []
        """The steps after each repeat around the current step, the innermost repeat last."""
        self._start = self._block(steps, ("steps",), frozenset())
        self._reach: dict[Path, Nodes] = {}

    def unreachable(self) -> list[Path]:
        """The first step of each sequence of steps that no run can reach."""
        reached = self._closure(self._start)
        return [
            path
            for path in self.steps
            if path not in reached and (before := self.siblings[path]) is not None and before in reached
        ]

    def after(self, path: Path) -> Nodes:
        """The steps that can follow this one, directly or later (itself included if it can come again)."""
        if path not in self._reach:
            self._reach[path] = self._closure(self._next.get(path, frozenset()))
        return self._reach[path]

    def at_once(self, lasts: Callable[[dict[str, Any]], bool]) -> list[Path]:
        """The steps that a run can reach without waiting, in the order written: no step that `lasts` is before them."""
        return self._quickly(self._start, lasts)

    def round_at_once(self, repeat: Path, lasts: Callable[[dict[str, Any]], bool]) -> bool:
        """Whether a whole round of this repeat may take no time."""
        inside = frozenset(path for path in self._next[repeat] if path[: len(repeat)] == repeat and path != repeat)
        return repeat in self._quickly(inside, lasts, within=repeat)

    def _quickly(self, start: Nodes, lasts: Callable[[dict[str, Any]], bool], within: Path = ()) -> list[Path]:
        seen: set[tuple[Path, bool]] = set()
        left = [(path, False) for path in start]
        while left:
            path, round_over = here = left.pop()
            if here in seen or path[: len(within)] != within:
                continue
            seen.add(here)
            if path == within or lasts(self.steps[path]):
                continue
            for onward in self._next.get(path, frozenset()):
                if "repeat" in self.steps[path] and _is_in(onward, path) == round_over:
                    continue  # a run leaves a repeat only after its rounds, which may take time
                left.append((onward, _is_in(path, onward)))
        reached = {path for path, _ in seen}
        return [path for path in self.steps if path in reached]

    def _closure(self, start: Nodes) -> Nodes:
        seen = set(start)
        left = list(start)
        while left:
            for path in self._next.get(left.pop(), frozenset()):
                if path not in seen:
                    seen.add(path)
                    left.append(path)
        return frozenset(seen)

    def _block(self, steps: Any, path: Path, then: Nodes) -> Nodes:
        """The first steps of a block whose end leads to `then`; `then` itself if the block is empty or malformed."""
        for index in range(len(steps) - 1, -1, -1) if isinstance(steps, list) else ():
            here = (*path, index)
            if here in self.steps:
                self._next[here] = self._onward(self.steps[here], here, then)
                then = frozenset({here})
        return then

    def _onward(self, step: dict[str, Any], here: Path, then: Nodes) -> Nodes:
        if "exit" in step:
            return frozenset()
        if "break" in step:
            return self._behind[-1] if self._behind else frozenset()
        if "repeat" in step:
            again = frozenset({here})
            body = step["repeat"].get("steps") if isinstance(step["repeat"], dict) else None
            self._behind.append(then)
            start = self._block(body, (*here, "repeat", "steps"), again)
            self._behind.pop()
            return start | then if here in self._closure(start) else start
        detours = isinstance(step.get("wait"), dict) or any(verb in step for verb in ("wait_until", "wait_date"))
        onward: Nodes = then if detours or _is_message(step) else frozenset()
        found = False
        for way in _ways(step, here):
            found = True
            if way[1] != "exit":
                onward |= self._block(way[1], way[0], then)
        return onward if found else then


def _is_in(path: Path, step: Path) -> bool:
    return len(path) > len(step) and path[: len(step)] == step


def _is_message(step: dict[str, Any]) -> bool:
    return any(verb in step for verb in MESSAGES)


def _ways(step: dict[str, Any], here: Path) -> Iterator[tuple[Path, Any]]:
    """The alternative blocks of a step, with their paths."""
    if "wait_for" in step:
        wait = step["wait_for"] if isinstance(step["wait_for"], dict) else {}
        yield (*here, "wait_for", "then"), wait.get("then")
        yield (*here, "wait_for", "else"), wait.get("else")
    elif "handoff" in step:
        handoff = step["handoff"] if isinstance(step["handoff"], dict) else {}
        for name in ("accepted", "rejected", "expired"):
            yield (*here, "handoff", name), handoff.get(name)
        way = handoff.get("when_none")
        yield ((*here, "handoff", "when_none", "steps"), way.get("steps") if isinstance(way, dict) else way)
    elif verb := next((verb for verb in _DETOURS if verb in step), None):
        wait = step[verb] if isinstance(step[verb], dict) else {}
        for name in _DETOURS[verb]:
            way = wait.get(name)
            if verb == "wait_date" or name in wait:
                yield ((*here, verb, name, "steps"), way.get("steps") if isinstance(way, dict) else way)
    elif _is_message(step):
        for name in ("skipped", "failed"):
            way = step.get(name)
            yield ((*here, name, "steps"), way.get("steps") if isinstance(way, dict) else way)
    elif "branch" in step or "split" in step:
        verb = "branch" if "branch" in step else "split"
        for index, arm in enumerate(step[verb]) if isinstance(step[verb], list) else ():
            yield ((*here, verb, index, "steps"), arm.get("steps") if isinstance(arm, dict) else None)
        if verb == "branch":
            yield (*here, "else"), step.get("else")


def _blocks(step: dict[str, Any], here: Path) -> Iterator[tuple[Path, Any]]:
    yield from _ways(step, here)
    if "repeat" in step and isinstance(step["repeat"], dict):
        yield (*here, "repeat", "steps"), step["repeat"].get("steps")


def _walk(steps: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any], Path | None]]:
    before: Path | None = None
    for index, step in enumerate(steps) if isinstance(steps, list) else ():
        here = (*path, index)
        if not isinstance(step, dict):
            continue
        yield here, step, before
        before = here
        for block_path, block in _blocks(step, here):
            yield from _walk(block, block_path)
