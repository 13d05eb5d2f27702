"""What a CEL expression reads and calls, found from its tokens, without running it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<string>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<number>0[xX][0-9a-fA-F]+[uU]?|\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<mark>&&|\|\||==|!=|<=|>=|.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_WORDS = {"true", "false", "null", "in"}

MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})


@dataclass(frozen=True)
class Call:
    """A function, method or macro that the expression calls."""

    name: str
    method: bool
    inside: tuple[str, ...]
    """The macros around the call, outermost first."""
    argument: str | None
    """The source of the first argument, if it is a single string literal."""


@dataclass(frozen=True)
class Reading:
    """What an expression reads: paths (`("contact", "attributes", "role")`), and what it calls."""

    paths: frozenset[tuple[str, ...]]
    bound: frozenset[str]
    """Names that its macros bind."""
    calls: tuple[Call, ...]
    depth: int
    """The deepest nesting of brackets."""
    operators: int


@lru_cache(maxsize=4096)
def read(expression: str) -> Reading:
    """Read the tokens of an expression. Never raises: the compiler refuses what is not CEL."""
    tokens = [
        (match.lastgroup or "mark", match.group()) for match in TOKEN.finditer(expression) if match.lastgroup != "space"
    ]
    bound = _bound_names(tokens)
    paths: set[tuple[str, ...]] = set()
    calls: list[Call] = []
    open_brackets: list[str] = []
    deepest = operators = index = 0
    while index < len(tokens):
        kind, text = tokens[index]
        called = index + 1 < len(tokens) and tokens[index + 1][1] == "("
        if kind == "name" and called:
            method = index > 0 and tokens[index - 1][1] == "."
            around = tuple(name for name in open_brackets if name in MACROS)
            calls.append(Call(text, method, around, _lone_string(tokens, index + 2)))
            open_brackets.append(text)
            index += 1
        elif kind == "name" and text not in _WORDS and not _follows_dot(tokens, index):
            path, index = _path(tokens, index)
            if path[0] not in bound:
                paths.add(tuple(path))
            continue
        elif kind == "mark":
            if text in "([{":
                open_brackets.append("")
            elif text in ")]}":
                del open_brackets[-1:]
            elif text not in ".,":
                operators += 1
        deepest = max(deepest, len(open_brackets))
        index += 1
    return Reading(frozenset(paths), bound, tuple(calls), deepest, operators)


def _follows_dot(tokens: list[tuple[str, str]], index: int) -> bool:
    return index > 0 and tokens[index - 1][1] == "."


def _bound_names(tokens: list[tuple[str, str]]) -> frozenset[str]:
    """Names that a macro binds: the first argument of `list.exists(x, …)`."""
    return frozenset(
        tokens[index + 2][1]
        for index in range(len(tokens) - 3)
        if tokens[index][1] in MACROS
        and tokens[index + 1][1] == "("
        and tokens[index + 2][0] == "name"
        and tokens[index + 3][1] == ","
    )


def _path(tokens: list[tuple[str, str]], index: int) -> tuple[list[str], int]:
    """The dotted path that starts here (`a["b"]` counts as `a.b`), and the index after it."""
    path = [tokens[index][1]]
    index += 1
    while index + 1 < len(tokens):
        mark, (kind, text) = tokens[index][1], tokens[index + 1]
        if mark == "." and kind == "name" and tokens[index + 2 : index + 3] != [("mark", "(")]:
            path.append(text)
            index += 2
        elif mark == "[" and kind == "string" and tokens[index + 2 : index + 3] == [("mark", "]")]:
            path.append(text.lstrip("rRbB").strip("\"'"))
            index += 3
        else:
            break
    return path, index


def _lone_string(tokens: list[tuple[str, str]], index: int) -> str | None:
    if tokens[index : index + 1] and tokens[index][0] == "string" and tokens[index + 1 : index + 2] == [("mark", ")")]:
        return tokens[index][1]
    return None
