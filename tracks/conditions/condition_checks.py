"""The problems of a condition, reported when its track is published."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from tracks.conditions import cost, impossible_conditions
from tracks.conditions.cel_library import cel
from tracks.conditions.dates import with_dates
from tracks.conditions.expressions import MACROS, Call, read
from tracks.conditions.impossible_conditions import Wanted
from tracks.conditions.syntax_tree import Node, SyntaxUnknownError, parse

MAX_LENGTH = 1_000
MAX_NESTING = 24
PLAIN_DATA = 200
"""Units of data (some forty attributes, or a dozen line items) for which every condition has to be affordable."""

FIELDS: dict[str, tuple[str, ...]] = {
    "contact": ("id", "timezone", "locale", "attributes", "has_email", "has_phone", "segments", "scores"),
    "event": ("event_id", "name", "at", "properties"),
    "enrollment": ("id", "track", "version", "entry", "properties", "steps"),
    "now": (),
}
"""The variables of a condition, and the fields of each."""

FUNCTIONS = frozenset(["size", "timestamp", "duration", "int", "uint", "double", "string"])
"""Functions that take one argument: `size(x)`."""
METHODS = {
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), 1),
    **dict.fromkeys(
        (
            "size",
            "getFullYear",
            "getMonth",
            "getDayOfMonth",
            "getDayOfWeek",
            "getDayOfYear",
            "getHours",
            "getMinutes",
            "getSeconds",
        ),
        0,
    ),
}
"""Methods of a value, and how many arguments each takes: `x.contains(y)` takes one."""
LOOPS = MACROS - {"map"}
_CALLED = FUNCTIONS | METHODS.keys() | LOOPS | {"has"}


def check(expression: str, names: Collection[str], wanted: Wanted = "yes or no") -> list[str]:
    """All problems of a condition that may use the variables `names`, as sentences; empty if it is valid.

    `wanted` is what the expression has to come to.
    """
    if len(expression) > MAX_LENGTH:
        return [f"the condition has {len(expression)} characters; at most {MAX_LENGTH} are allowed"]
    reading = read(expression)
    if reading.depth > MAX_NESTING:
        return [f"brackets are nested {reading.depth} deep; at most {MAX_NESTING} are allowed"]
    try:
        program = cel.compile(expression)
    except Exception as error:
        return [syntax_problem(expression, str(error))]
    problems = [problem for call in dict.fromkeys(reading.calls) for problem in _check_call(call)]
    for path in sorted(reading.paths):
        problems.extend(_check_path(path, names))
    problems.extend(f"a loop's own name may not be '{name}'" for name in sorted(reading.bound & set(FIELDS)))
    if not problems and any(name.startswith(".") for name in program.variables()):
        problems.append("a condition's names do not start with a dot")
    return problems or list(_check_parts(expression, program, wanted))


def _check_parts(expression: str, program: cel.Program, wanted: Wanted) -> Iterator[str]:
    """The problems of a condition whose names are right."""
    try:
        nodes = parse(expression)
    except SyntaxUnknownError:
        yield "the condition is written in a way that cannot be judged before it runs; write it more plainly"
        return
    used, bound = ({node.name for node in nodes if node.kind == kind} for kind in ("name", "item"))
    if not used <= set(program.variables()) <= used | bound | {"@result"}:
        yield "the condition's names cannot be told apart; write it more plainly"
        return
    shapes = [problem for node in nodes if node.kind == "call" for problem in _check_shape(node)]
    yield from dict.fromkeys(shapes)
    costs = cost.price(nodes, cost.over(PLAIN_DATA), cost.PLAIN_DATE)
    if sum(costs) > cost.MAX_COST:
        dearest = nodes[costs.index(max(costs))]
        yield (
            f"the condition could take {sum(costs):,} steps over {PLAIN_DATA} values, and at most {cost.MAX_COST:,} "
            f"are allowed; the dearest part is {_short(expression[dearest.start : dearest.end])}. A loop does its "
            "work for each element, and to add, compare or copy large values takes longer"
        )
    elif not shapes:
        yield from impossible_conditions.problems(expression, nodes, _computes, wanted)


def _check_shape(node: Node) -> Iterator[str]:
    """The problem with how a function of the library is called, if any."""
    as_method = METHODS.get(node.name)
    if node.name in FUNCTIONS and len(node.args) == 1 and not node.method:
        return
    if as_method is not None and len(node.args) == as_method + 1 and node.method:
        return
    if node.name in MACROS:
        yield f"`{node.name}` is written as list.{node.name}(x, …)"
    elif as_method is not None:
        yield f"`{node.name}` is written as value.{node.name}({'…' if as_method else ''})"
    elif node.name == "has":
        yield "`has` asks for a field: has(contact.attributes.plan)"
    else:
        yield f"`{node.name}` is written as {node.name}(…), with one value"


def _computes(source: str) -> bool:
    try:
        cel.evaluate(with_dates(source)[0], {})
    except Exception:
        return False
    return True


def _short(source: str) -> str:
    return source if len(source) <= 60 else f"{source[:57]}…"


def _check_call(call: Call) -> list[str]:
    if call.name == "map":
        return ["`map` is not allowed in a condition; use exists, all or filter"]
    if call.name == "bool":
        return ["unknown function 'bool'; compare with true instead: contact.attributes.vip == true"]
    if call.name not in _CALLED:
        return [f"unknown function '{call.name}'" + _meant(call.name, _CALLED)]
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


def syntax_problem(expression: str, message: str) -> str:
    """The parser's first complaint, in our words."""
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
