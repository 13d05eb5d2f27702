"""A CEL expression as a flat tree, so that it can be checked without running it (the CEL library exposes no tree).

The nodes stand in the order in which they are computed: the parts of a node come before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from tracks.conditions.expressions import MACROS, TOKEN

Kind = Literal["literal", "name", "select", "has", "index", "call", "operator", "list", "map", "item", "loop"]

_LEVELS = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys("*/%", 5),
}
_CONSTANTS = {"true", "false", "null"}


class SyntaxUnknownError(Exception):
    """This parser does not know the way in which the expression is written; it may or may not be valid CEL."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression."""

    kind: Kind
    """`item` is a loop's current element; `has` is a `select` that only tests for presence. The target of a method is
    its first argument."""
    name: str
    """The node's name: the source of a literal, a field, a function, an operator (`?:` for the conditional)."""
    args: tuple[int, ...]
    start: int
    end: int
    loops: tuple[int, ...]
    """The `item` nodes of the loops around it, outermost first."""
    constant: bool
    """Whether the node reads no data."""
    method: bool = False
    """Whether the call is written as a method of its first argument."""


def text_of(node: Node) -> str | None:
    """The text of a plain string literal; None for anything else."""
    plain = node.kind == "literal" and node.name[:1] in ("'", '"') and node.name[:3] not in ('"""', "'''")
    return node.name[1:-1] if plain and "\\" not in node.name else None


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def parse(expression: str) -> tuple[Node, ...]:
    """The nodes of an expression; the last one is the whole expression. Raises SyntaxUnknownError."""
    try:
        return _Parser(expression).all()
    except RecursionError:
        raise SyntaxUnknownError("nested too deep") from None


class _Parser:
    """A recursive-descent parser; every method returns the index of the node that it added."""

    def __init__(self, expression: str) -> None:
        self._tokens = [
            _Token(match.lastgroup or "mark", match.group(), match.start(), match.end())
            for match in TOKEN.finditer(expression)
            if match.lastgroup != "space"
        ]
        self._tokens.append(_Token("end", "", len(expression), len(expression)))
        self._at = 0
        self._nodes: list[Node] = []
        self._bound: list[tuple[str, int]] = []

    def all(self) -> tuple[Node, ...]:
        self._expression()
        if self._next.kind != "end":
            raise SyntaxUnknownError(self._next.text)
        return tuple(self._nodes)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _took(self, mark: str) -> bool:
        if self._next.kind == "mark" and self._next.text == mark:
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> int:
        if not self._took(mark):
            raise SyntaxUnknownError(f"{mark} is missing")
        return self._tokens[self._at - 1].end

    def _add(self, kind: Kind, name: str, args: tuple[int, ...], start: int, end: int) -> int:
        constant = kind not in ("name", "item") and all(self._nodes[index].constant for index in args)
        loops = tuple(item for _, item in self._bound)
        self._nodes.append(Node(kind, name, args, start, end, loops, constant))
        return len(self._nodes) - 1

    def _span(self, *parts: int) -> tuple[int, int]:
        return min(self._nodes[part].start for part in parts), max(self._nodes[part].end for part in parts)

    def _expression(self) -> int:
        condition = self._binary(1)
        if not self._took("?"):
            return condition
        then = self._binary(1)
        self._need(":")
        otherwise = self._expression()
        return self._add("operator", "?:", (condition, then, otherwise), *self._span(condition, otherwise))

    def _binary(self, least: int) -> int:
        left = self._unary()
        while self._next.kind in ("mark", "name") and _LEVELS.get(self._next.text, 0) >= least:
            operator = self._take().text
            right = self._binary(_LEVELS[operator] + 1)
            left = self._add("operator", operator, (left, right), *self._span(left, right))
        return left

    def _unary(self) -> int:
        start = self._next.start
        signs = 0
        while self._next.kind == "mark" and self._next.text in ("!", "-"):
            sign = self._take().text
            signs += 1
        inner = self._member()
        return self._add("operator", f"{sign}_", (inner,), start, self._nodes[inner].end) if signs else inner

    def _member(self) -> int:
        target = self._primary()
        while True:
            if self._took("["):
                index = self._expression()
                target = self._add("index", "", (target, index), self._nodes[target].start, self._need("]"))
            elif self._next.text == "." and self._next.kind == "mark":
                self._at += 1
                name = self._take()
                if name.kind != "name":
                    raise SyntaxUnknownError(name.text)
                if self._took("("):
                    target = self._method(target, name.text)
                else:
                    target = self._add("select", name.text, (target,), self._nodes[target].start, name.end)
            else:
                return target

    def _method(self, target: int, name: str) -> int:
        start = self._nodes[target].start
        if name in MACROS and self._next.kind == "name" and self._tokens[self._at + 1].text == ",":
            bound = self._take()
            item = self._add("item", bound.text, (target,), bound.start, bound.end)
            self._bound.append((bound.text, item))
            self._at += 1
            body = self._list(")")
            self._bound.pop()
            return self._add("loop", name, (target, item, *body[0]), start, body[1])
        arguments, end = self._list(")")
        call = self._add("call", name, (target, *arguments), start, end)
        self._nodes[call] = replace(self._nodes[call], method=True)
        return call

    def _list(self, closing: str) -> tuple[tuple[int, ...], int]:
        """Parse expressions separated by commas; returns them and the position where the list ends."""
        found: list[int] = []
        while self._more(closing, found):
            found.append(self._expression())
        return tuple(found), self._tokens[self._at - 1].end

    def _more(self, closing: str, found: list[int]) -> bool:
        """True where another part of a list or map follows; takes the comma before it, or the end.

        The grammar allows one comma before the end, also where there is no part: `[1,]`, `[,]`, `{,}`.
        """
        if self._took(closing):
            return False
        if found:
            self._need(",")
            return not self._took(closing)
        if self._took(","):
            self._need(closing)
            return False
        return True

    def _primary(self) -> int:
        token = self._take()
        if token.kind in ("string", "number") or (token.kind == "name" and token.text in _CONSTANTS):
            return self._add("literal", token.text, (), token.start, token.end)
        if token.kind == "name" and token.text != "in":
            if self._took("("):
                return self._function(token)
            bound = next((item for name, item in reversed(self._bound) if name == token.text), None)
            return self._add("name", token.text, () if bound is None else (bound,), token.start, token.end)
        if token.text == "(":
            inner = self._expression()
            end = self._need(")")
            self._nodes[inner] = replace(self._nodes[inner], start=token.start, end=end)
            return inner
        if token.text == "[":
            parts, end = self._list("]")
            return self._add("list", "", parts, token.start, end)
        if token.text == "{":
            return self._map(token.start)
        raise SyntaxUnknownError(token.text)

    def _function(self, name: _Token) -> int:
        arguments, end = self._list(")")
        if name.text == "has" and len(arguments) == 1 and self._nodes[arguments[0]].kind == "select":
            self._nodes[arguments[0]] = replace(self._nodes[arguments[0]], kind="has", start=name.start, end=end)
            return arguments[0]
        return self._add("call", name.text, arguments, name.start, end)

    def _map(self, start: int) -> int:
        parts: list[int] = []
        while self._more("}", parts):
            parts.append(self._expression())
            self._need(":")
            parts.append(self._expression())
        return self._add("map", "", tuple(parts), start, self._tokens[self._at - 1].end)
