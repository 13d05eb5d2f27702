"""Conditions in CEL: checked when a track is published, and evaluated later without surprises.

Two rules make a condition safe to leave alone for months:

- **Missing data makes a condition false.** A condition that needs a missing attribute, compares values of different
  types, or cannot be computed for another reason of the data is false as a whole. `has(event.properties.plan)` asks
  whether a value exists. `||` and `&&` need only the side that decides.
- **A condition has bounded cost.** The cost is known before it runs (`tracks.conditions.cost`). Publishing refuses a
  condition that is too expensive over little data; an evaluation is refused where its cost over the actual data would
  be too high.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from tracks.conditions import cost
from tracks.conditions.cel_library import cel
from tracks.conditions.condition_checks import FIELDS as FIELDS
from tracks.conditions.condition_checks import MAX_LENGTH, MAX_NESTING, syntax_problem
from tracks.conditions.condition_checks import check as check
from tracks.conditions.dates import DATED, first_moment, with_dates
from tracks.conditions.expressions import read
from tracks.conditions.syntax_tree import Node, SyntaxUnknownError, parse

MAX_VALUES = 5_000
"""Values (list items, mapping entries) that one evaluation may read, all variables together."""
MAX_TEXT = 100_000
"""Characters of text that one evaluation may read."""
MAX_DEPTH = 32
NO_TRACE = ("", "missing")
"""Reasons of a false condition that need no report: it was computed as false, or the data it reads is missing."""

_PLAIN = frozenset({int, float, bool, datetime, type(None)})
_EMPTY: dict[str, dict[str, Any]] = {
    "contact": {"attributes": {}},
    "event": {"properties": {}},
    "enrollment": {"properties": {}, "steps": {}},
}


class ConditionError(Exception):
    """The condition itself is invalid, or the data is too large for it. The text quotes no contact data."""


class TooDearError(ConditionError):
    """The condition would take too much work over this data."""


class Verdict(NamedTuple):
    """Whether a condition holds, and the reason if it could not be computed (`missing`, `type`, `not a yes or no`)."""

    holds: bool
    why: str = ""


class Judged(NamedTuple):
    """A verdict, and whether the first releases could have reached a different one."""

    verdict: Verdict
    new: bool = False


class _Program(NamedTuple):
    run: cel.Program
    as_written: cel.Program
    """The program without the date functions that `tracks.conditions.dates` adds."""
    dated: bool
    nodes: tuple[Node, ...]
    """Empty where this release cannot parse the expression, such as one that was published long ago."""
    affordable: int
    """Data of any shape up to this weight is within the budget, so its cost need not be computed."""


def reads(expression: str) -> set[str]:
    """Dotted paths that the expression reads, such as `contact.attributes.role`."""
    return {".".join(path) for path in read(expression).paths}


def evaluate(expression: str, context: Mapping[str, Any]) -> bool:
    """Whether the condition holds. Missing data or data of another type makes it false; see the module's rules.

    Raises ConditionError where the expression is not CEL, or the data is too large.
    """
    return judge(expression, context).holds


def judge(expression: str, context: Mapping[str, Any]) -> Verdict:
    """As `evaluate`, with the reason where the condition could not be computed."""
    return judge_anew(expression, context).verdict


def judge_anew(expression: str, context: Mapping[str, Any]) -> Judged:
    """As `judge`, and whether `judge_as_before` may differ. May raise TooDearError, unlike `judge_as_before`."""
    program, variables = _affordable(expression, context)
    if not program.dated:
        return Judged(_verdict(program.run, variables))
    days: list[None] = []
    functions = {DATED: first_moment(lambda: days.append(None))}
    return Judged(_verdict(program.run, cel.Context(variables, functions)), bool(days))


def value_of(expression: str, context: Mapping[str, Any]) -> Any:
    """What an expression comes to; None where it cannot be computed, as when the data that it reads is missing.

    Raises ConditionError as `evaluate` does.
    """
    program, variables = _affordable(expression, context)
    functions = {DATED: first_moment(lambda: None)}
    try:
        return program.run.execute(cel.Context(variables, functions) if program.dated else variables)
    except Exception:
        return None  # the library's error text may quote the data


def affordable_at_once(expression: str, context: Mapping[str, Any]) -> bool:
    """Whether the data is so small that `judge` computes the condition whatever the data's shape.

    May raise ConditionError where `judge` does.
    """
    return _measure(context) + _NO_DATA <= min(_compiled(expression).affordable, _SMALL)


def judge_as_before(expression: str, context: Mapping[str, Any]) -> Verdict:
    """Evaluate as the first releases did: with no limit on the cost, and with `timestamp` as plain CEL has it.

    For runs whose history holds a verdict of those releases.
    """
    variables = _variables(context)
    _measure(variables)
    return _verdict(_compiled(expression).as_written, variables)


def not_computed(step: str, case: int, why: str) -> str:
    """The line in a run's details about a case of a branch that could not be computed."""
    return f"`{step}` case-{case + 1} could not be decided and counts as false ({why})"


def _verdict(program: cel.Program, context: Any) -> Verdict:
    try:
        value = program.execute(context)
    except (KeyError, IndexError):
        return Verdict(False, "missing")
    except Exception:
        return Verdict(False, "type")  # the library's error text may quote the data
    if value is True or value is False:
        return Verdict(value)
    return Verdict(False, "not a yes or no")


def _affordable(expression: str, context: Mapping[str, Any]) -> tuple[_Program, dict[str, Any]]:
    """The program and its variables. Raises TooDearError where the program would take too much work over them."""
    program = _compiled(expression)
    variables = _variables(context)
    weight = _measure(variables)
    if weight > program.affordable:
        nodes = program.nodes
        if not nodes or sum(cost.price(nodes, cost.of(variables))) > cost.MAX_COST:
            raise TooDearError("the condition would take too much work over this data")
    return program, variables


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
    """A variable with all its fields, so that `has(event.properties.x)` is valid where there is no event."""
    given = value if isinstance(value, Mapping) else {}
    return {**_EMPTY[name], **{key: part for key, part in given.items() if part is not None or key not in _EMPTY[name]}}


def _measure(variables: Mapping[str, Any]) -> int:
    """An upper bound of the data's weight. Refuses data that is too large, or nested so deep that it ends a process."""
    values = text = 0
    level: list[Any] = list(variables.values())
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                text += len(value)
            elif kind in _PLAIN:
                continue
            elif kind is dict:
                if value:
                    text += _text_of_keys(value)
                    values += len(value)
                    deeper += value.values()
            elif kind is list:
                values += len(value)
                deeper += value
            elif isinstance(value, str):
                text += len(value)
            elif isinstance(value, Mapping):
                text += _text_of_keys(value)
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


def _text_of_keys(value: Mapping[Any, Any]) -> int:
    try:
        return len("".join(value))
    except TypeError:
        return sum(len(key) for key in value if isinstance(key, str))


_NO_DATA = _measure(_variables({}))
"""The weight of the variables that `judge` adds."""
_SMALL = cost.at_most(0, MAX_TEXT * 9 // 10)
"""Data up to this weight is never too large: neither by its values nor by its text."""
