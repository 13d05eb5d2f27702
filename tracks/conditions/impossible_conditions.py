"""Find what no data can make true in a condition: constants that cannot be computed, and values of unlike types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tracks.conditions.syntax_tree import Node, text_of
from tracks.time.durations import parse_duration

KNOWN_FIELDS: dict[tuple[str, ...], str] = {
    ("now",): "moment",
    ("event", "at"): "moment",
    ("event", "event_id"): "text",
    ("event", "name"): "text",
    ("contact", "id"): "text",
    ("contact", "timezone"): "text",
    ("contact", "locale"): "text",
    ("contact", "has_email"): "yes or no",
    ("contact", "has_phone"): "yes or no",
    ("contact", "segments"): "list",
    ("enrollment", "id"): "text",
    ("enrollment", "track"): "text",
    ("enrollment", "version"): "number",
}
"""The types of the fields whose type is fixed. Attributes and properties may hold any JSON value."""
_DATA = {("contact", "attributes"), ("event", "properties"), ("enrollment", "properties")}
_NOT_IN_JSON = {"moment": "timestamp", "duration": "duration"}
"""Types that JSON data never has, and the CEL function that makes such a value from a text."""

_RETURNS = {
    **dict.fromkeys(("size", "int", "uint", "double"), "number"),
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), "yes or no"),
    "string": "text",
    "timestamp": "moment",
    "duration": "duration",
}
_ORDER = {"<", "<=", ">", ">="}
_COMPARISONS = _ORDER | {"==", "!="}
_ARITHMETIC = {"+", "-", "*", "/", "%"}
_SUMS = {
    ("moment", "-", "moment"): "duration",
    ("moment", "-", "duration"): "moment",
    ("moment", "+", "duration"): "moment",
    ("duration", "+", "moment"): "moment",
    ("duration", "+", "duration"): "duration",
    ("duration", "-", "duration"): "duration",
    ("text", "+", "text"): "text",
    ("list", "+", "list"): "list",
    **{("number", operator, "number"): "number" for operator in _ARITHMETIC},
}
Wanted = Literal["yes or no", "number"]
"""What an expression has to come to: a condition to a yes or no, a computed length to a number."""
_INSTEAD: dict[str, str] = {
    "yes or no": "a condition has to be a yes or no, such as a comparison",
    "number": "it has to be a number, such as enrollment.properties.usage_days - 5",
}
_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def problems(
    expression: str, nodes: Sequence[Node], computes: Callable[[str], bool], wanted: Wanted = "yes or no"
) -> Iterator[str]:
    """All such problems, as sentences. `computes` tells whether an expression that reads no data has a value."""
    kinds: list[str] = []
    broken: set[int] = set()
    for index, node in enumerate(nodes):
        source = expression[node.start : node.end]
        known = _comparison(node, nodes, kinds, expression)
        if broken.intersection(node.args):
            broken.add(index)
        elif known:
            yield known
            broken.add(index)
        elif node.constant and node.kind != "literal" and not computes(source):
            yield _never(node, nodes, source)
            broken.add(index)
        kinds.append(_kind(node, nodes, kinds))
    if kinds[-1] not in ("", wanted) and not broken:
        yield f"it is a {kinds[-1]}; {_INSTEAD[wanted]}"


def attributes_as_numbers(nodes: Sequence[Node]) -> Iterator[str]:
    """The contact's attributes that an operator compares or combines with a number."""
    kinds: list[str] = []
    for node in nodes:
        if node.kind == "operator" and node.name in _COMPARISONS | _ARITHMETIC and len(node.args) == 2:
            for index, beside in (node.args, node.args[::-1]):
                path = _path(nodes[index], nodes)
                if kinds[beside] == "number" and path[:2] == ("contact", "attributes") and len(path) == 3:
                    yield path[2]
        kinds.append(_kind(node, nodes, kinds))


def _never(node: Node, nodes: Sequence[Node], source: str) -> str:
    """The problem with a constant that has no value, and what to write instead."""
    written = text_of(nodes[node.args[-1]]) if node.args else None
    if node.kind == "call" and node.name == "duration" and written is not None:
        try:
            seconds = round(parse_duration(written).total_seconds())
            meant = f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
        except ValueError:
            meant = "720h"
        return f'{source} can never be computed: a duration in a condition has h, m and s; write duration("{meant}")'
    if node.kind == "call" and node.name == "timestamp":
        return f'{source} can never be computed: write timestamp("2026-03-01T09:00:00Z") or timestamp("2026-03-01")'
    return f"{source} can never be computed, so the condition would never hold"


def _comparison(node: Node, nodes: Sequence[Node], kinds: list[str], expression: str) -> str | None:
    """The problem with the two operands of a comparison or of arithmetic, or None."""
    if node.kind != "operator" or len(node.args) != 2:
        return None
    one, other = (kinds[index] for index in node.args)
    source = expression[node.start : node.end]
    if node.name in _COMPARISONS | _ARITHMETIC and (raw := _raw(node, nodes, kinds, expression)):
        return f"{source} {raw}"
    if node.name in _COMPARISONS:
        literals = [text_of(nodes[index]) for index in node.args]
        written = next((text for text in literals if text is not None), None)
        if one and other and one != other:
            return f"{source} compares a {one} with a {other}, which are never alike{_instead({one, other}, written)}"
        numeric = written is not None and _NUMBER.fullmatch(written) is not None
        if node.name in _ORDER and numeric and "" in (one, other):
            return f"{source} compares with a text, and a number is never more or less than a text{_as_number(written)}"
    if node.name in _ARITHMETIC and one and other and (one, node.name, other) not in _SUMS:
        return f"{source} can never be computed: a {one} {node.name} a {other}"
    return None


def _raw(node: Node, nodes: Sequence[Node], kinds: list[str], expression: str) -> str | None:
    """The problem with data beside a type that data never has (a date in JSON is a text), or None."""
    for index, beside in (node.args, node.args[::-1]):
        kind, part = kinds[beside], nodes[index]
        while part.kind == "index":
            part = nodes[part.args[0]]
        if kind in _NOT_IN_JSON and _path(part, nodes)[:2] in _DATA:
            path = expression[nodes[index].start : nodes[index].end]
            sum_of = node.name in _ARITHMETIC and kind == "duration"  # a duration is added to a moment: `timestamp`
            function = "timestamp" if sum_of else _NOT_IN_JSON[kind]
            return f"takes a text for a moment: data has dates and durations as texts; write {function}({path})"
    return None


def _instead(kinds: set[str], written: str | None) -> str:
    if written is None:
        return ""
    if "moment" in kinds:
        moment = written if _DAY.match(written) else "2026-03-01"
        return f'; write timestamp("{moment}")'
    if "duration" in kinds:
        return '; write duration("24h")'
    if "yes or no" in kinds and written.lower() in ("true", "false"):
        return f"; write {written.lower()} without quotes"
    return _as_number(written) if "number" in kinds and _NUMBER.fullmatch(written) else ""


def _as_number(written: str | None) -> str:
    number = (written or "").strip().replace(",", ".").removeprefix("+")
    return f"; write {number} without quotes (and double(…) around what is kept as a text)"


def _kind(node: Node, nodes: Sequence[Node], kinds: list[str]) -> str:
    """The type of the node's value, where that is certain; else empty."""
    match node.kind:
        case "literal":
            if node.name in ("true", "false"):
                return "yes or no"
            if node.name[:1].isdigit() or node.name[:1] == ".":
                return "number"
            return "text" if node.name[:1] in "\"'rR" and node.name != "null" else ""
        case "name" | "select":
            return KNOWN_FIELDS.get(_path(node, nodes), "")
        case "has":
            return "yes or no"
        case "list":
            return "list"
        case "loop":
            return {"filter": "list", "map": "list"}.get(node.name, "yes or no")
        case "call":
            return "number" if node.name.startswith("get") else _RETURNS.get(node.name, "")
        case "operator":
            return _result(node, kinds)
    return ""


def _result(node: Node, kinds: list[str]) -> str:
    parts = [kinds[index] for index in node.args]
    if node.name in _COMPARISONS or node.name in ("&&", "||", "in", "!_"):
        return "yes or no"
    if node.name == "?:":
        return parts[1] if parts[1] == parts[2] else ""
    if len(parts) == 1:
        return parts[0]
    return _SUMS.get((parts[0], node.name, parts[1]), "")


def _path(node: Node, nodes: Sequence[Node]) -> tuple[str, ...]:
    if node.kind == "name":
        return () if node.args else (node.name,)
    whole = _path(nodes[node.args[0]], nodes) if node.kind == "select" else ()
    return (*whole, node.name) if whole else ()
