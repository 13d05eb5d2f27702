"""Check the short Liquid texts in a track itself (SMS texts, notes, payloads) as strictly as those of templates."""

from __future__ import annotations

from collections.abc import Iterable

from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError

from tracks.content.checks.template_check import check_text
from tracks.content.liquid.language import compiled

_COMPUTES = frozenset((
    "plus", "minus", "times", "divided_by", "modulo", "round", "ceil", "floor", "abs", "at_least", "at_most", "size",
    "sum",
))  # fmt: skip
"""Filters that return a number."""


def syntax_problem(text: str) -> str | None:
    """The syntax error in a Liquid text, or None."""
    try:
        compiled(text, markup=False)
    except LiquidError as error:
        return f"is not Liquid: {str(error).splitlines()[0]}"
    return None


def problems(text: str, variables: Iterable[str], *, told: bool = False, links: bool = True) -> list[str]:
    """All problems of a text that may use the contact, the enrollment, the event that the latest wait matched, and
    these variables of its own.

    With `told`, a value that may be missing needs a `default`: contacts read the text, or a number is computed from it.
    `links` allows the links of a message, such as the unsubscribe link.
    """
    if problem := syntax_problem(text):
        return [problem]
    return [problem.message for problem in check_text(text, variables, told=told, links=links, event=True)]


def reads_event(text: str) -> bool:
    """Whether a text reads `event`; a text that is no Liquid reads nothing."""
    try:
        return "event" in compiled(text, markup=False).analyze().globals
    except LiquidError:
        return False


def is_number(text: str) -> bool:
    """Whether a text is a single expression whose last filter computes a number."""
    try:
        nodes = [
            node for node in compiled(text.strip(), markup=False).nodes if str(node)
        ]  # one that costs prints nothing
    except LiquidError:
        return False
    if len(nodes) != 1 or not isinstance(nodes[0], OutputNode):
        return False
    expression = nodes[0].expression
    filters = expression.filters if isinstance(expression, FilteredExpression) else None
    return bool(filters and filters[-1].name in _COMPUTES)
