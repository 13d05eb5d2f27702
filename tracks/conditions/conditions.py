"""Conditions in CEL: judged when a track is published, evaluated without surprises ever after.

Two rules make a condition safe to leave alone for months:

- **What is not there is not true.** A condition that needs a missing attribute, compares unlike types or cannot
  be computed for any other reason of the data is false as a whole. `has(event.properties.plan)` asks whether
  something is there; `||` and `&&` need only the side that decides.
- **It cannot run away.** What it can cost is known before it runs (`tracks.conditions.cost`): publishing refuses what
is dear
  over little data, and each evaluation is refused where it would be over the data at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import cel

from tracks.conditions import cost
from tracks.conditions.condition_checks import FIELDS as FIELDS
from tracks.conditions.condition_checks import MAX_LENGTH, MAX_NESTING, syntax_problem
from tracks.conditions.condition_checks import check as check
from tracks.conditions.dates import DATED, first_moment, with_dates
from tracks.conditions.expressions import read
from tracks.conditions.syntax_tree import Node, SyntaxUnknownError, parse

MAX_VALUES = 5_000
"""Values (list items, mapping entries) that one evaluation may look at, all variables together."""
MAX_TEXT = 100_000
"""Characters of text that one evaluation may look at."""
MAX_DEPTH = 32
NO_TRACE = ("", "missing")
"""Why a condition may be false without anybody having to know: it says so, or what it asks for is not there."""

_EMPTY: dict[str, dict[str, Any]] = {
    "contact": {"attributes": {}},
    "event": {"properties": {}},
    "enrollment": {"properties": {}, "steps": {}},
}


class ConditionError(Exception):
    """The condition itself is wrong, or the data too large for it. Says nothing about the contact's data."""


class TooDearError(ConditionError):
    """The condition would take too much work over this data."""


class Verdict(NamedTuple):
    """Whether a condition holds, and why it could not be told if so (`missing`, `type`, `not a yes or no`)."""

    holds: bool
    why: str = ""


class Judged(NamedTuple):
    """A verdict, and whether an earlier release could have come to another."""

    verdict: Verdict
    new: bool = False


class _Program(NamedTuple):
    run: cel.Program
    as_written: cel.Program
    """Without what `tracks.conditions.dates` adds."""
    dated: bool
    nodes: tuple[Node, ...]
    """Empty where the expression cannot be read, as one published long ago."""
    affordable: int
    """The weight of data, of whatever shape, up to which nothing has to be counted."""


def reads(expression: str) -> set[str]:
    """Dotted paths that the expression reads, such as `contact.attributes.role`."""
    return {".".join(path) for path in read(expression).paths}


def evaluate(expression: str, context: Mapping[str, Any]) -> bool:
    """Whether the condition holds. Missing or unlike data makes it false; see the rules above.

    Raises ConditionError where the expression is not CEL, or the data is too large.
    """
    return judge(expression, context).holds


def judge(expression: str, context: Mapping[str, Any]) -> Verdict:
    """As `evaluate`, and says why where the data did not suffice."""
    return judge_anew(expression, context).verdict


def judge_anew(expression: str, context: Mapping[str, Any]) -> Judged:
    """As `judge`, and says whether `judge_as_before` may differ. Raises TooDearError, which that never does."""
    program = _compiled(expression)
    variables = _variables(context)
    weight = _measure(variables)
    if weight > program.affordable:
        nodes = program.nodes
        if not nodes or sum(cost.price(nodes, cost.of(variables))) > cost.MAX_COST:
            raise TooDearError("the condition would take too much work over this data")
    if not program.dated:
        return Judged(_verdict(program.run, variables))
    days: list[None] = []
    functions = {DATED: first_moment(lambda: days.append(None))}
    return Judged(_verdict(program.run, cel.Context(variables, functions)), bool(days))


def judge_as_before(expression: str, context: Mapping[str, Any]) -> Verdict:
    """As the first releases judged: without a bound on the work, and with no dates but moments.

    For runs whose history holds such a verdict.
    """
    variables = _variables(context)
    _measure(variables)
    return _verdict(_compiled(expression).as_written, variables)


def not_computed(step: str, case: int, why: str) -> str:
    """The line of a run's story about a case of a branch that could not be computed."""
    return f"`{step}` case-{case + 1} could not be decided and counts as false ({why})"


def _verdict(program: cel.Program, context: Any) -> Verdict:
    try:
        value = program.execute(context)
    except (KeyError, IndexError):
        return Verdict(False, "missing")
    except Exception:
        return Verdict(False, "type")  # the library's words may quote the data
    if value is True or value is False:
        return Verdict(value)
    return Verdict(False, "not a yes or no")


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> _Program:
    if len(expression) > MAX_LENGTH or read(expression).depth > MAX_NESTING:
        raise ConditionError("the condition is too long")
    dated, needed = with_dates(expression)
    try:
        as_written = cel.compile(expression)
        program = cel.compile(dated) if dated != expression else as_written
    except Exception as error:
        raise ConditionError(syntax_problem(expression, str(error))) from None
    try:
        nodes = parse(expression)
    except SyntaxUnknownError:
        nodes = ()
    return _Program(program, as_written, needed, nodes, cost.affordable(nodes))


def _variables(context: Mapping[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = {name: _filled(name, context.get(name)) for name in _EMPTY}
    if context.get("now") is not None:
        variables["now"] = context["now"]
    return variables


def _filled(name: str, value: Any) -> dict[str, Any]:
    """A variable with all its parts, so that `has(event.properties.x)` can be asked where there is no event."""
    given = value if isinstance(value, Mapping) else {}
    return {**_EMPTY[name], **{key: part for key, part in given.items() if part is not None or key not in _EMPTY[name]}}


def _measure(variables: Mapping[str, Any]) -> int:
    """What the data weighs, at most. Refuses what takes long to look at, or is nested deep enough to end a process."""
    values = text = 0
    level: list[Any] = list(variables.values())
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, str):
                text += len(value)
            elif isinstance(value, Mapping):
                text += sum(len(key) for key in value if isinstance(key, str))
                values += len(value)
                deeper.extend(value.values())
            elif isinstance(value, (list, tuple)):
                values += len(value)
                deeper.extend(value)
            elif not isinstance(value, (int, float, datetime, type(None))):
                raise ConditionError(f"a condition cannot look at a {type(value).__name__}")
        if values > MAX_VALUES or text > MAX_TEXT:
            raise ConditionError("the data is too large for a condition")
        if not deeper:
            return cost.at_most(values, text)
        level = deeper
    raise ConditionError("the data is nested too deep for a condition")
