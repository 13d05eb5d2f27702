"""An upper bound of what a condition can cost, computed before it runs, from the shape of the data.

The library copies whatever it touches: a step into a mapping copies the value found there, and at every element
`filter` copies the result so far. So the size of the operands decides the cost. One unit is the copy of a number, about
20 ns as measured (`tests/tracks/conditions/test_cost.py` tries every function and operator).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tracks.conditions.syntax_tree import Node, text_of

MAX_COST = 1_000_000
"""Units that one evaluation may cost: some 20 ms."""

_HEAVIEST = 1 << 20
_UNREAD = 500
"""The weight of data up to which an expression may run that this module cannot parse."""
_CALL = 4
"""How often a function may copy or read its operands."""
_DATED = 400
"""What `timestamp` costs beside the copies where it calls Python to read a date (`tracks.conditions.dates`):
4 to 12 microseconds."""
_HANDED = 100
"""Units for handing one unit of data to Python; 85 as measured."""
PLAIN_DATE = 2
"""The weight of a date as text."""
_ROUND = 15
"""What one element of a loop costs beside the loop's body."""
_TEXT = 64
"""Characters of text that one unit copies."""
_CLASS_STATES = 10
"""A class with letters of every script costs as much as this many letters of a pattern."""
_MISSING: Any = object()
_CLASSES = re.compile(r"\\[wWpPbB]")
_FOLDED = re.compile(r"\(\?[a-zA-Z-]*i")
_WIDE = re.compile(r"\.|\[\^")
_ATOM = re.compile(r"(?:\\+[pP]\{[^}]*\}|\\+[pP].|\\+[xu]\{[^}]*\}|\\+.|.)$", re.DOTALL)
_SMALL_CLASSES = re.compile(r"\\[dDsS]|\[")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a value is, or may be at most."""

    weight: int
    """What a copy of the value costs, in units."""
    count: int = 0
    """Elements of a list, keys of a mapping."""
    largest: int = 0
    """The weight of its heaviest element or key."""
    value: Any = _MISSING
    """The value itself, if known."""
    fields: dict[str, Size] = field(default_factory=dict, compare=False, repr=False)
    """The fields that were read so far: a path that a condition names forty times is measured once."""


_SCALAR = Size(2)


def price(nodes: Sequence[Node], variable: Callable[[str], Size], dated: int = _HEAVIEST) -> list[int]:
    """What each node can cost over all its rounds. `variable` gives the size of a variable.

    `dated` is the largest weight of a value that `timestamp` may receive.
    """
    sizes: list[Size] = []
    costs: list[int] = []
    for node in nodes:
        parts = [sizes[index] for index in node.args]
        size = _size(node, parts, nodes, variable)
        rounds = 1
        for item in node.loops:
            rounds *= sizes[nodes[item].args[0]].count
        costs.append(rounds * _cost(node, size, parts, nodes, dated))
        sizes.append(size)
    costs[-1] += 2 * sizes[-1].weight  # the result is copied when it is returned
    return costs


def affordable(nodes: Sequence[Node]) -> int:
    """The largest weight for which data of any shape is within the budget."""
    if not nodes:
        return _UNREAD
    weight = 1
    while weight < _HEAVIEST and sum(price(nodes, over(2 * weight))) <= MAX_COST:
        weight *= 2
    return weight


def over(weight: int) -> Callable[[str], Size]:
    """Variables that may each be anything up to this weight: one long list, one text, mappings in mappings."""
    return lambda name: Size(weight, weight, weight)


def of(variables: Mapping[str, Any]) -> Callable[[str], Size]:
    """The actual sizes of these variables."""
    return cache(lambda name: size_of(variables.get(name)))


def size_of(value: Any) -> Size:
    """The size of a value. The value may not be nested deeper than the interpreter's recursion limit."""
    if isinstance(value, Mapping):
        keys = [weigh(key) for key in value]
        values = [weigh(part) for part in value.values()]
        return Size(6 + 2 * len(keys) + sum(keys) + sum(values), len(keys), max(keys + values, default=0), value)
    if isinstance(value, (list, tuple)):
        items = [weigh(part) for part in value]
        return Size(2 + sum(items), len(items), max(items, default=0), value)
    return Size(weigh(value), value=value)


def weigh(value: Any) -> int:
    """The weight of a value."""
    if isinstance(value, str):
        return 2 + len(value) // _TEXT
    if isinstance(value, Mapping):
        return 6 + sum(2 + weigh(key) + weigh(part) for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return 2 + sum(weigh(part) for part in value)
    return 1


def at_most(values: int, text: int) -> int:
    """The largest weight of data with this many elements and characters."""
    return 64 + 10 * values + text // _TEXT


def _size(node: Node, parts: list[Size], nodes: Sequence[Node], variable: Callable[[str], Size]) -> Size:
    match node.kind:
        case "literal":
            return Size(2 + len(node.name) // _TEXT)
        case "name":
            return parts[0] if parts else variable(node.name)
        case "item":
            return _item(node, parts[0], nodes)
        case "select":
            return _field(parts[0], node.name)
        case "index":
            return _field(parts[0], text_of(nodes[node.args[1]]))
        case "list" | "map":
            weight = 6 + sum(part.weight + 2 for part in parts)
            return Size(weight, len(parts), max((part.weight for part in parts), default=0))
        case "loop":
            return _gathered(node.name, parts)
        case "call" if node.name != "size":
            weight = 2 + sum(part.weight for part in parts)
            return Size(weight, weight, weight)
        case "operator" if node.name == "?:":
            return _larger(parts[1], parts[2])
        case "operator" if node.name == "+":
            weight = parts[0].weight + parts[1].weight
            return Size(weight, parts[0].count + parts[1].count, max(parts[0].largest, parts[1].largest))
    return _SCALAR


def _item(node: Node, whole: Size, nodes: Sequence[Node]) -> Size:
    """An element of a list. Cost grows with weight, so the mean gives the right sum, except where loops are nested."""
    nested = bool(node.loops) or any(
        other.kind == "item" and any(nodes[around] is node for around in other.loops) for other in nodes
    )
    mean = -(-whole.weight // max(whole.count, 1))
    weight = whole.largest if nested else min(mean, max(whole.largest, 1))
    return Size(weight, weight, weight)


def _field(whole: Size, name: str | None) -> Size:
    if whole.value is _MISSING or name is None:
        return Size(whole.weight, whole.weight, whole.weight)
    if isinstance(whole.value, Mapping) and name in whole.value:
        if name not in whole.fields:
            whole.fields[name] = size_of(whole.value[name])
        return whole.fields[name]
    return _SCALAR  # its computation raises an error


def _gathered(loop: str, parts: list[Size]) -> Size:
    whole, body = parts[0], parts[-1]
    if loop == "filter":
        return Size(whole.weight, whole.count, whole.largest)
    if loop == "map":
        return Size(2 + whole.count * body.weight, whole.count, body.weight)
    return _SCALAR


def _larger(one: Size, other: Size) -> Size:
    return Size(max(one.weight, other.weight), max(one.count, other.count), max(one.largest, other.largest))


def _cost(node: Node, size: Size, parts: list[Size], nodes: Sequence[Node], dated: int) -> int:
    """What the node costs once, without the cost of its parts."""
    together = sum(part.weight for part in parts)
    match node.kind:
        case "select":
            return 2 + size.weight
        case "index":
            return 2 + 2 * parts[0].weight
        case "call" if node.name == "matches":
            pattern = nodes[node.args[-1]]
            return _pattern(pattern.name if pattern.kind == "literal" else "", together * _TEXT)
        case "call" if node.name == "timestamp" and nodes[node.args[-1]].kind != "literal":
            return 3 + _CALL * together + _DATED + _HANDED * min(together, dated)
        case "call":
            return 3 + _CALL * together
        case "operator" if node.name in ("+", "-", "*", "/", "%", "-_"):
            return 2 + 2 * together
        case "operator" if node.name == "in":
            each = parts[1].count * (1 + min(parts[0].weight, max(parts[1].largest, 1)))
            return 2 + parts[0].weight + min(2 * parts[1].weight, each)
        case "operator" if len(parts) == 2 and node.name not in ("&&", "||"):
            return 2 + 2 * min(part.weight for part in parts)
        case "list" | "map":
            return 6 + together
        case "loop":
            found = size.weight if node.name in ("filter", "map") else 0
            return 10 + parts[0].count * (_ROUND + parts[1].weight + found)
    return 2


def _pattern(source: str, text: int) -> int:
    """What a regular expression costs. It is compiled on each call, and may visit all its states at each letter."""
    again, times = _repeated(source)
    folded = bool(_FOLDED.search(source)) and (not source.isascii() or "\\x" in source or "\\u" in source)
    made, states = 50, 0
    for part, rounds in ((source, 1), (again, times - 1)):
        classes = len(_CLASSES.findall(part)) + (part.count("[") + 1 if folded and part else 0)
        made += rounds * (12_000 * classes + 1_500 * len(_SMALL_CLASSES.findall(part)) + 100 * len(part))
        states += rounds * (len(part) + _CLASS_STATES * (classes + len(_WIDE.findall(part))))
    return made + text * (1 + states // 16)


def _repeated(source: str) -> tuple[str, int]:
    """The part that `{n}` repeats (or a larger one), and how often. Publishing allows one such count."""
    found = _REPEAT.search(source)
    if found is None:
        return "", 1
    times = max(int(count) for bounds in _REPEAT.findall(source) for count in bounds if count)
    before = source[: found.start()]
    if len(_REPEAT.findall(source)) > 1:
        return source, times
    if before.endswith(")"):
        return _group(before), times
    if before.endswith("]"):
        return before[before.find("[") :], times
    atom = _ATOM.search(before)
    return atom.group() if atom else before, times


def _group(before: str) -> str:
    """The group at the end, or the whole text where a bracket may be a literal character."""
    if re.search(r"\\[()]|\[[^\]]*[()]", before):
        return before
    depth = 0
    for index in range(len(before) - 1, -1, -1):
        depth += (before[index] == ")") - (before[index] == "(")
        if depth == 0:
            return before[index:]
    return before
