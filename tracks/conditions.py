"""Conditions in CEL: judged when a track is published, evaluated without surprises ever after.

Two rules make a condition safe to leave alone for months:

- **What is not there is not true.** A condition that needs a missing attribute, compares unlike types or cannot
  be computed for any other reason of the data is false as a whole. `has(event.properties.plan)` asks whether
  something is there; `||` and `&&` need only the side that decides.
- **It cannot run away.** Length, nesting and functions are bounded when the track is published; the size of the
  data is bounded at each evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

import cel

from tracks.expressions import MACROS, Call, read

MAX_LENGTH = 1_000
MAX_NESTING = 24
MAX_VALUES = 5_000
"""Values (list items, mapping entries) that one evaluation may look at, all variables together."""
MAX_TEXT = 100_000
"""Characters of text that one evaluation may look at."""
MAX_DEPTH = 32

FIELDS: dict[str, tuple[str, ...]] = {
    "contact": ("id", "timezone", "locale", "attributes", "has_email", "has_phone"),
    "event": ("event_id", "name", "at", "properties"),
    "enrollment": ("id", "track", "version", "properties", "steps"),
    "now": (),
}
"""The variables and what each has."""

_FUNCTIONS = frozenset(
    [
        "has",
        "size",
        "startsWith",
        "endsWith",
        "contains",
        "matches",
        "timestamp",
        "duration",
        "int",
        "uint",
        "double",
        "string",
        "bool",
        "getFullYear",
        "getMonth",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
        "all",
        "exists",
        "exists_one",
        "existsOne",
        "filter",
    ]
)
_EMPTY: dict[str, dict[str, Any]] = {
    "contact": {"attributes": {}},
    "event": {"properties": {}},
    "enrollment": {"properties": {}, "steps": {}},
}


class ConditionError(Exception):
    """The condition itself is wrong, or the data too large for it. Says nothing about the contact's data."""


class Verdict(NamedTuple):
    """Whether a condition holds, and why it could not be told if so (`missing`, `type`, `not a yes or no`)."""

    holds: bool
    why: str = ""


def reads(expression: str) -> set[str]:
    """Dotted paths that the expression reads, such as `contact.attributes.role`."""
    return {".".join(path) for path in read(expression).paths}


def check(expression: str, names: Collection[str]) -> list[str]:
    """All that is wrong with a condition that may use the variables `names`, as sentences; empty if sound."""
    if len(expression) > MAX_LENGTH:
        return [f"the condition has {len(expression)} characters; at most {MAX_LENGTH} are allowed"]
    reading = read(expression)
    if reading.depth > MAX_NESTING:
        return [f"brackets are nested {reading.depth} deep; at most {MAX_NESTING} are allowed"]
    try:
        program = cel.compile(expression)
    except Exception as error:
        return [_syntax(expression, str(error))]
    problems = [problem for call in dict.fromkeys(reading.calls) for problem in _check_call(call)]
    for path in sorted(reading.paths):
        problems.extend(_check_path(path, names))
    problems.extend(f"a loop's own name may not be '{name}'" for name in sorted(reading.bound & set(FIELDS)))
    if not problems and any(name.startswith(".") for name in program.variables()):
        problems.append("a condition's names do not start with a dot")
    return problems


def evaluate(expression: str, context: Mapping[str, Any]) -> bool:
    """Whether the condition holds. Missing or unlike data makes it false; see the rules above.

    Raises ConditionError where the expression is not CEL, or the data is too large.
    """
    return judge(expression, context).holds


def judge(expression: str, context: Mapping[str, Any]) -> Verdict:
    """As `evaluate`, and says why where the data did not suffice."""
    program = _compiled(expression)
    variables = {name: _filled(name, context.get(name)) for name in _EMPTY}
    if context.get("now") is not None:
        variables["now"] = context["now"]
    _measure(variables)
    try:
        value = program.execute(variables)
    except (KeyError, IndexError):
        return Verdict(False, "missing")
    except Exception:
        return Verdict(False, "type")  # the library's words may quote the data
    if value is True or value is False:
        return Verdict(value)
    return Verdict(False, "not a yes or no")


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> cel.Program:
    if len(expression) > MAX_LENGTH or read(expression).depth > MAX_NESTING:
        raise ConditionError("the condition is too long")
    try:
        return cel.compile(expression)
    except Exception as error:
        raise ConditionError(_syntax(expression, str(error))) from None


def _filled(name: str, value: Any) -> dict[str, Any]:
    """A variable with all its parts, so that `has(event.properties.x)` can be asked where there is no event."""
    given = value if isinstance(value, Mapping) else {}
    return {**_EMPTY[name], **{key: part for key, part in given.items() if part is not None or key not in _EMPTY[name]}}


def _measure(variables: Mapping[str, Any]) -> None:
    """Refuse data that would take long to look at, or is nested deep enough to end the process."""
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
            return
        level = deeper
    raise ConditionError("the data is nested too deep for a condition")


def _check_call(call: Call) -> list[str]:
    if call.name == "map":
        return ["`map` is not allowed in a condition; use exists, all or filter"]
    if call.name not in _FUNCTIONS:
        return [f"unknown function '{call.name}'" + _meant(call.name, _FUNCTIONS)]
    if call.name in MACROS and call.inside:
        return [f"`{call.name}` inside `{call.inside[-1]}`: one such loop may not stand in another"]
    if call.name == "matches":
        return _check_pattern(call)
    return []


def _check_pattern(call: Call) -> list[str]:
    pattern = call.argument
    if pattern is None:
        return ['`matches` takes one pattern, written out: matches("^[A-Z]+$")']
    if call.inside:
        return ["`matches` may not stand inside a loop"]
    repeats = [int(count) for bounds in re.findall(r"\{(\d+)(?:,(\d*))?\}", pattern) for count in bounds if count]
    if len(pattern) > 100 or len(re.findall(r"\{\d", pattern)) > 1 or max(repeats, default=0) > 20:
        return ["the pattern of `matches` may have 100 characters and one {n} of at most 20"]
    try:
        cel.evaluate(f"'x'.matches({pattern})", {})
    except Exception:
        return [f"{pattern} is not a regular expression (RE2: no look-around, no back-references)"]
    return []


def _check_path(path: tuple[str, ...], names: Collection[str]) -> list[str]:
    root, *rest = path
    if root not in names:
        known = ", ".join(name for name in FIELDS if name in names)
        if root in FIELDS:
            return [f"'{root}' is not known here; this condition can use {known}"]
        return [f"unknown variable '{root}'" + (_meant(root, names) or f"; this condition can use {known}")]
    fields = FIELDS.get(root, ())
    if rest and fields and rest[0] not in fields:
        free = {"contact": "attributes", "event": "properties", "enrollment": "properties"}[root]
        close = get_close_matches(rest[0], fields, 1, 0.75)
        right = f"{root}.{close[0]}" if close else f"{root}.{free}.{rest[0]}"
        return [f"{root} has no '{rest[0]}'; did you mean {right}?"]
    return []


def _meant(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, sorted(known), 1, 0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _syntax(expression: str, message: str) -> str:
    """The first complaint of the parser, in our words."""
    if not expression.strip():
        return "the condition is empty"
    if re.search(r"[\u2018\u2019\u201c\u201d]", expression):
        return "not CEL: write straight quotes, not curly ones"
    if re.search(r"(?<![=!<>])=(?!=)", re.sub(r"\"[^\"]*\"|'[^']*'", "", expression)):
        return "not CEL: to compare, write == instead of ="
    if word := re.search(r"\b(and|or|not)\b", re.sub(r"\"[^\"]*\"|'[^']*'", "", expression)):
        right = {"and": "&&", "or": "||", "not": "!"}[word.group()]
        return f"not CEL: write {right} instead of '{word.group()}'"
    found = re.search(r"ERROR: <input>:\d+:(\d+): (?:Syntax error: )?([^\n]*)", message)
    where = f" at character {found.group(1)}" if found else ""
    what = re.sub(r" expecting .*|OtherError\(.*", "", found.group(2)) if found else "cannot be read"
    what = what.replace("'<EOF>'", "end of the condition")
    return f"not CEL{where}: {what}"
