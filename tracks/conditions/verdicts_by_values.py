"""Keep the verdicts of conditions by the values that they read.

A condition such as `contact.attributes.plan == "team"` is evaluated for very many contacts, who have few different
plans. Its verdict follows from the value alone; to evaluate it takes 70 times as long as to look it up (measured).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tracks.conditions.conditions import Verdict, affordable_at_once, judge
from tracks.conditions.syntax_tree import Node, SyntaxUnknownError, parse

KEPT = 10_000
"""Verdicts that a process keeps; then it begins anew."""
LONGEST = 200
"""Characters of a text by which a verdict is kept: longer ones hardly repeat."""
_SCALARS = frozenset({str, bool, int, float, type(None)})
_known: dict[tuple[Any, ...], Verdict] = {}


def judge_by_values(condition: str, name: str, variable: Mapping[str, Any]) -> Verdict:
    """As `judge` over this one variable. Raises ConditionError where `judge` does."""
    paths = _paths(condition, name)
    key = _key(condition, paths, variable) if paths is not None else None
    context = {name: variable}
    if key is None or not affordable_at_once(condition, context):
        return judge(condition, context)
    verdict = _known.get(key)
    if verdict is None:
        if len(_known) >= KEPT:
            _known.clear()
        verdict = _known[key] = judge(condition, context)
    return verdict


def _key(condition: str, paths: tuple[tuple[str, ...], ...], variable: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The condition with the type and value of each path. None if one of them is no scalar, or is too long."""
    key: list[Any] = [condition]
    for path in paths:
        value: Any = variable
        for depth, part in enumerate(path):
            if type(value) is not dict:
                return None
            if part not in value:
                key.append(depth)  # where it ends decides whether `has` is false or cannot be computed
                break
            value = value[part]
        else:
            kind = type(value)
            if kind not in _SCALARS or (kind is str and len(value) > LONGEST):
                return None
            key.append((kind, repr(value) if kind is float else value))  # 0.0 equals -0.0, and NaN not itself
    return tuple(key)


@lru_cache(maxsize=4096)
def _paths(condition: str, name: str) -> tuple[tuple[str, ...], ...] | None:
    """Every path of the variable that the condition reads. None if it reads the variable in a way without a path."""
    try:
        nodes = parse(condition)
    except SyntaxUnknownError:
        return None
    found: set[tuple[str, ...]] = set()
    for index, node in enumerate(nodes):
        if node.kind != "name" or node.args:
            continue
        if node.name != name:
            return None
        found.add(_path(nodes, index))
    if () in found or any(node.kind in ("loop", "item") for node in nodes):
        return None
    return tuple(sorted(found))


def _path(nodes: tuple[Node, ...], index: int) -> tuple[str, ...]:
    path: list[str] = []
    while True:
        above = [(at, node) for at, node in enumerate(nodes) if index in node.args]
        if len(above) != 1 or above[0][1].kind not in ("select", "has"):
            return tuple(path)
        index, node = above[0]
        path.append(node.name)
        if node.kind == "has":
            return tuple(path)
