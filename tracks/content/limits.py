"""What keeps one template from taking a process down: its work is counted while it runs, not timed.

Counting makes the answer the same on every machine: a template that passes once for some data always passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from liquid import BoundTemplate, Node, RenderContext
from liquid.ast import BlockNode
from liquid.builtin.expressions.logical import ContainsExpression, EqExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import FilterArgumentError, LoopIterationLimitError, ResourceLimitError
from liquid.expression import Expression

MAX_LOOPS = 10_000
MAX_WORK = 500_000
"""Units of about a microsecond that all of one message may take."""
_MAX_TEXT = 200_000
_MAX_ITEMS = 10_000
_CHARACTERS_PER_UNIT = 20
_PAIRED = frozenset(("uniq",))
"""Filters that compare each item with each."""


class WorkLimitError(ResourceLimitError):
    """The template does more than a message needs."""


class _Meter:
    def __init__(self) -> None:
        self.left = MAX_WORK

    def charge(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise WorkLimitError("the template does too much", token=None)


_meter: ContextVar[_Meter | None] = ContextVar("meter", default=None)


@contextmanager
def one_message() -> Iterator[None]:
    """All that is rendered within counts as the work of one message."""
    if _meter.get() is not None:
        yield
        return
    token = _meter.set(_Meter())
    try:
        yield
    finally:
        _meter.reset(token)


def charge(units: int) -> None:
    """Count work. Raises WorkLimitError where it was too much."""
    meter = _meter.get()
    if meter is not None:
        meter.charge(units)


def bounded(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """A filter that is refused too long values and whose work is counted."""
    grows = _GROWS.get(name)

    def metered(value: object, *args: object, **kwargs: object) -> object:
        units = 1
        for given in (value, *args):
            if isinstance(given, str):
                if len(given) > _MAX_TEXT:
                    raise FilterArgumentError("the filter is given too long a text", token=None)
                units += len(given) // _CHARACTERS_PER_UNIT
            elif isinstance(given, Sized):
                items = _length(given)
                if items > _MAX_ITEMS:
                    raise FilterArgumentError("the filter is given too long a list", token=None)
                units += items * items // _CHARACTERS_PER_UNIT if name in _PAIRED else items
        charge(units)
        if grows is not None and grows(value, *args) > _MAX_TEXT:
            raise FilterArgumentError("the filter's result would be too long", token=None)
        return function(value, *args, **kwargs)

    for attribute in ("with_context", "with_environment", "validate"):
        if hasattr(function, attribute):
            setattr(metered, attribute, getattr(function, attribute))
    return metered


def _length(value: Sized) -> int:
    try:
        return len(value)
    except OverflowError:  # a range longer than any list
        return _MAX_ITEMS + 1


def _replaced_length(value: object, sought: object = "", new: object = "") -> int:
    text = str(value)
    return len(text) + text.count(str(sought)) * len(str(new))


def _joined_length(value: object, separator: object = " ") -> int:
    return _length(value) * len(str(separator)) if isinstance(value, Sized) else 0


_GROWS: dict[str, Callable[..., int]] = {"replace": _replaced_length, "join": _joined_length}
"""Filters that multiply lengths, and how long the result would be."""


class _Range(RangeLiteral):
    """A range that is refused before anything counts, copies or searches it."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made: range = super()._make_range(start, stop)
        if made.stop - made.start > MAX_LOOPS:
            raise LoopIterationLimitError("loop iteration limit reached", token=self.token)
        return made


class _Contains(ContainsExpression):
    """A search, counted by how much it looks at."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        _charge_for(self.left.evaluate(context))
        return super().evaluate(context)


class _Equal(EqExpression):
    """A comparison, counted by how much it looks at."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        _charge_for(self.left.evaluate(context))
        return super().evaluate(context)


def _charge_for(value: object) -> None:
    if isinstance(value, Sized):
        charge(_length(value) // _CHARACTERS_PER_UNIT)


class _Block(BlockNode):
    """A block whose nodes are counted each time it runs."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        charge(1 + len(self.nodes))
        return super().render_to_output(context, buffer)


class _Context(RenderContext):
    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Also the comparisons with what a loop goes over are work."""
        charge(min(length, MAX_LOOPS) if length > 0 else 0)
        super().raise_for_loop_limit(length)


class LimitedTemplate(BoundTemplate):
    """A template that runs within the limits."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        static = RenderContext(self)
        for node in self.nodes:
            _limit(node, static)

    def render(self, *args: Any, **kwargs: Any) -> str:
        """As any template, its work counted; raises WorkLimitError."""
        with one_message():
            charge(len(self.nodes))
            return super().render(*args, **kwargs)


_COUNTED: dict[type[Expression], type[Expression]] = {
    RangeLiteral: _Range,
    ContainsExpression: _Contains,
    EqExpression: _Equal,
}


def _limit(node: Node, static: RenderContext) -> None:
    """Exchange the parts whose work the language itself does not bound."""
    if type(node) is BlockNode:
        node.__class__ = _Block
    for expression in node.expressions():
        _limit_expression(expression)
    for child in node.children(static):
        _limit(child, static)


def _limit_expression(expression: Expression) -> None:
    counted = _COUNTED.get(type(expression))
    if counted is not None:
        expression.__class__ = counted  # of the same layout: it adds no slot
    for child in expression.children():
        _limit_expression(child)
