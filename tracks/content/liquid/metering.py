"""The cost of each part of a parsed template. Every node and expression of the language is listed here, or refused.

The cost that does not depend on data is counted when the template is parsed, and charged each time its block runs: one
unit for a node, one for eight parts of its expressions, and their texts. A class whose cost depends on data is replaced
by a class that charges for its work. A class in neither list is refused, so that nothing new runs uncounted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from liquid import BoundTemplate, Node, RenderContext
from liquid.ast import BlockNode, ConditionalBlockNode
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import loop as loops
from liquid.builtin.expressions import primitive
from liquid.builtin.expressions.filtered import FilteredExpression
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.path import Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode, _AnyExpression
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.cycle_tag import CycleNode
from liquid.builtin.tags.doc_tag import DocNode
from liquid.builtin.tags.echo_tag import EchoNode
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.ifchanged_tag import IfChangedNode
from liquid.builtin.tags.inline_comment_tag import InlineCommentNode
from liquid.builtin.tags.liquid_tag import LiquidNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.exceptions import LiquidSyntaxError, LoopIterationLimitError
from liquid.expression import Expression
from liquid.token import TOKEN_CONTENT, Token

from tracks.content.liquid.limits import CHARACTERS_PER_UNIT, MAX_LOOPS, charge, one_message, size_of
from tracks.content.liquid.value_texts import text_of

_PARTS_PER_UNIT = 8
_NAMES_PER_UNIT = 5
"""At each assignment, Liquid adds up the sizes of all names that the template assigned; one unit for this many."""


class _Cost(Node):
    """Charges what its block costs each time the block runs; prints nothing."""

    __slots__ = ("units",)

    def __init__(self, units: int) -> None:
        super().__init__(Token(TOKEN_CONTENT, "", 0, ""))
        self.units = units

    def __str__(self) -> str:
        return ""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        charge(self.units)
        return 0


def _print(value: object, context: RenderContext, buffer: TextIO) -> int:
    """Write a value; the cost depends on the length of its text."""
    if isinstance(value, list | tuple | dict):
        charge(size_of(value))
    text = text_of(value, markup=context.autoescape)
    charge(len(text) // CHARACTERS_PER_UNIT)
    return buffer.write(text)


class _Output(OutputNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return _print(self.expression.evaluate(context), context, buffer)


class _Echo(EchoNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return _print(self.expression.evaluate(context), context, buffer)


class _Cycle(CycleNode):
    """The state of a cycle is found by its group, or else by the text of all its values."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        group = text_of(self.group.evaluate(context)) if self.group else ""
        values = [one.evaluate(context) for one in self.args]
        charge(size_of(group) + sum(size_of(value) for value in values))
        turn = context.cycle(group or str(values), len(values))
        return _print(values[turn], context, buffer) if turn < len(values) else 0


class _IfChanged(IfChangedNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        inner = context.get_buffer(buffer)
        self.block.render(context, inner)
        text = inner.getvalue()
        charge(len(text) // CHARACTERS_PER_UNIT)
        return buffer.write(text) if context.ifchanged(text) else 0


class _Path(Path):
    """A path with parts that come from data: Liquid writes it out where it leads nowhere."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        charge(sum(size_of(part.evaluate(context)) for part in self.path if isinstance(part, Path)))
        return super().evaluate(context)


class _Range(primitive.RangeLiteral):
    """A range that is refused before Liquid counts, copies or searches it."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made: range = super()._make_range(start, stop)
        if made.stop - made.start > MAX_LOOPS:
            raise LoopIterationLimitError("loop iteration limit reached", token=self.token)
        return made


class _Loop(loops.LoopExpression):
    """Charges for the whole sequence that a loop runs over, because skipped items take time too."""

    __slots__ = ()

    def _to_iter(self, obj: object, context: RenderContext) -> tuple[Iterator[Any], int]:
        found, length = super()._to_iter(obj, context)
        charge(length // CHARACTERS_PER_UNIT)
        return found, length


def _charge_comparing(left: object, right: object) -> None:
    """Charge a comparison for as much as it may read before it is decided."""
    if isinstance(left, str | primitive.Blank) and isinstance(right, str | primitive.Blank):
        charge(min(size_of(one) for one in (left, right) if isinstance(one, str)) if left is not right else 0)
    elif isinstance(left, list | tuple | dict) and isinstance(right, list | tuple | dict) and len(left) == len(right):
        charge(size_of(left))


def _charge_searching(within: object, sought: object) -> None:
    if isinstance(within, str) or isinstance(sought, str | list | tuple | dict):
        charge(size_of(within))
    elif isinstance(within, list | tuple | range):
        charge(len(within) // CHARACTERS_PER_UNIT)


def _comparing(of: type[Any]) -> type[Any]:
    """A comparison that is charged. It has the same memory layout, so that it can replace Liquid's own class."""

    def evaluate(self: Any, context: RenderContext) -> object:
        charging = _charge_searching if of is ContainsExpression else _charge_comparing
        charging(self.left.evaluate(context), self.right.evaluate(context))
        return of.evaluate(self, context)

    return type(f"_{of.__name__}", (of,), {"__slots__": (), "evaluate": evaluate})


class _Any(_AnyExpression):
    """A `when`: each of its values is compared with the value of the `case`."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> list[bool]:
        left = self.left.evaluate(context)
        for right in self.expressions:
            _charge_comparing(left, right.evaluate(context))
        return super().evaluate(context)


class _Context(RenderContext):
    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Charge for the items of a loop as well."""
        charge(min(length, MAX_LOOPS) if length > 0 else 0)
        super().raise_for_loop_limit(length)

    def assign(self, key: str, val: Any) -> None:
        """At each assignment, Liquid adds up the sizes of all assigned names; charge for that."""
        charge(len(self.locals) // _NAMES_PER_UNIT)
        super().assign(key, val)


EXCHANGED: dict[type[Any], type[Any]] = {
    OutputNode: _Output,
    EchoNode: _Echo,
    CycleNode: _Cycle,
    IfChangedNode: _IfChanged,
    primitive.RangeLiteral: _Range,
    loops.LoopExpression: _Loop,
    Path: _Path,
    _AnyExpression: _Any,
    **{
        of: _comparing(of)
        for of in (
            EqExpression,
            NeExpression,
            LtExpression,
            GtExpression,
            LeExpression,
            GeExpression,
            ContainsExpression,
        )
    },
}
"""Classes whose cost depends on data, and the class that replaces each and charges for it."""

COUNTED: frozenset[type[Any]] = frozenset((
    # nodes: loops charge for their rounds, assignments and blocks charge for themselves
    ContentNode, BlockNode, ConditionalBlockNode, MultiExpressionBlockNode, IfNode, UnlessNode, CaseNode, ForNode,
    TablerowNode, BreakNode, ContinueNode, AssignNode, CaptureNode, LiquidNode, CommentNode, DocNode,
    InlineCommentNode,
    # expressions: filters charge for themselves
    primitive.Nil, primitive.Empty, primitive.Blank, primitive.TrueLiteral, primitive.FalseLiteral,
    primitive.StringLiteral, primitive.IntegerLiteral, primitive.FloatLiteral, BooleanExpression,
    LogicalAndExpression, LogicalOrExpression, LogicalNotExpression, FilteredExpression,
))  # fmt: skip
"""Classes whose cost does not depend on data."""


class LimitedTemplate(BoundTemplate):
    """A template that runs within the limits."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _meter_block(self.nodes, RenderContext(self))

    def render(self, *args: Any, **kwargs: Any) -> str:
        """As the base class, with the work counted. Raises WorkLimitError."""
        with one_message():
            return super().render(*args, **kwargs)


def _meter_block(nodes: list[Node], static: RenderContext) -> None:
    """Replace the classes within a block, and put a node that charges for the block at its beginning."""
    nodes.insert(0, _Cost(1 + sum(_meter(node, static) for node in nodes)))


def _meter(node: Node, static: RenderContext) -> int:
    """Replace the classes in a node; returns its own cost, without the blocks in it."""
    if isinstance(node, BlockNode):
        _meter_block(node.nodes, static)
        return 1
    _exchange(node)
    units = 1 + sum(_meter_expression(expression) for expression in node.expressions()) // _PARTS_PER_UNIT
    if isinstance(node, ContentNode):
        units += len(node.text) // CHARACTERS_PER_UNIT
    return units + sum(_meter(child, static) for child in node.children(static))


def _meter_expression(expression: Expression) -> int:
    """Replace the classes in an expression; returns the number of its parts."""
    _exchange(expression)
    parts = 1
    if isinstance(expression, primitive.StringLiteral):
        parts += len(expression.value) // CHARACTERS_PER_UNIT
    elif isinstance(expression, Path):
        parts += sum(1 + len(part) // CHARACTERS_PER_UNIT if isinstance(part, str) else 1 for part in expression.path)
    children: Iterable[Expression] = expression.children()
    if isinstance(expression, _AnyExpression):
        children = (expression.left, *children)
    parts += sum(_meter_expression(child) for child in children)
    return parts * _PARTS_PER_UNIT if isinstance(expression, loops.LoopExpression) else parts  # Liquid writes it out


def _exchange(part: Node | Expression) -> None:
    kind = type(part)
    if kind is Path and not any(isinstance(segment, Path) for segment in part.path):  # type: ignore[union-attr]
        return  # its parts are written in the template itself
    other = EXCHANGED.get(kind)
    if other is not None:
        part.__class__ = other  # the new class has the same layout: it adds no slot
    elif kind not in COUNTED and kind not in EXCHANGED.values():
        raise LiquidSyntaxError(f"`{kind.__name__}` is not available", token=part.token)
