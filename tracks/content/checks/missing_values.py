"""Find values that a text prints although they may be missing: the classic "Hi ,".

An attribute of the contact, a property of the enrollment, an optional variable or a part of the brand is known only
when the message is rendered. A text that prints one has to handle a missing value: by `default`, or by an `if` that
tests for the value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from liquid import BoundTemplate, Node, RenderContext
from liquid.builtin.expressions import FilteredExpression, Path, TernaryFilteredExpression
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.echo_tag import EchoNode
from liquid.expression import Expression

from tracks.content.brand import OPTIONAL_FIELDS

_ANSWERING = frozenset((
    "default", "size", "plus", "minus", "times", "divided_by", "modulo", "at_least", "at_most", "abs", "ceil",
    "floor", "round", "sum", "has", "find_index",
))  # fmt: skip
"""Filters that print something even when their input is missing."""
_UNSURE = (
    ("contact", "attributes"),
    ("contact", "scores"),
    ("enrollment", "properties"),
    ("event", "properties"),
    *(("brand", field) for field in sorted(OPTIONAL_FIELDS)),
)

Segments = tuple[str, ...]


def printed_bare(template: BoundTemplate, optional: Collection[str]) -> Iterator[tuple[int, str]]:
    """The places where a text prints a value that may be missing: the index in the source, and the value's path.

    Args:
        template: the parsed text.
        optional: names of variables that may be missing.
    """
    watch = _Watch(frozenset(optional))
    static = RenderContext(template)
    for node in template.nodes:
        yield from watch.visit(node, static, frozenset())


class _Watch:
    def __init__(self, optional: frozenset[str]) -> None:
        self._optional = optional
        self._named: dict[str, Segments] = {}
        """Names that the text itself assigns to values that may be missing."""

    def visit(self, node: Node, static: RenderContext, asked: frozenset[Segments]) -> Iterator[tuple[int, str]]:
        """The node and all nodes within it. `asked` are the values that an `if` around the node tests for."""
        if isinstance(node, OutputNode | EchoNode):
            for expression in node.expressions():
                yield from self._bare(expression, asked)
            return
        if isinstance(node, AssignNode):
            found = [path for expression in node.expressions() for path in self._paths_left_bare(expression, asked)]
            if found:
                self._named[str(node.name)] = found[0][1]
            else:
                self._named.pop(str(node.name), None)
            return
        inside = asked | {path for expression in node.expressions() for path in _paths(expression)}
        for child in node.children(static):
            yield from self.visit(child, static, inside)

    def _bare(self, expression: Expression, asked: frozenset[Segments]) -> Iterator[tuple[int, str]]:
        for index, path in self._paths_left_bare(expression, asked):
            yield index, ".".join(path)

    def _paths_left_bare(self, expression: Expression, asked: frozenset[Segments]) -> Iterator[tuple[int, Segments]]:
        if isinstance(expression, TernaryFilteredExpression):
            tail = expression.tail_filters or []
            if not any(used.name in _ANSWERING for used in tail):
                yield from self._paths_left_bare(expression.left, asked | set(_paths(expression.condition)))
            return
        if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
            return
        if any(used.name in _ANSWERING for used in expression.filters or []):
            return
        path = _segments(expression.left)
        if path is None:
            return
        source = self._named.get(path[0], path)
        unsure = source[:2] in _UNSURE or (len(source) == 1 and source[0] in self._optional)
        if unsure and not any(path[: len(known)] == known or source == known for known in asked):
            yield expression.left.token.start_index, source


def _paths(expression: Expression) -> Iterator[Segments]:
    if isinstance(expression, Path) and (path := _segments(expression)):
        yield path
    for child in expression.children():
        yield from _paths(child)


def _segments(path: Path) -> Segments | None:
    """The path as words; None where one of its parts is computed."""
    parts = list(path.path)
    return tuple(str(part) for part in parts) if all(isinstance(part, str | int) for part in parts) else None
