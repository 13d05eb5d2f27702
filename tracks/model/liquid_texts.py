"""The short Liquid texts in a track itself (SMS texts, notes, payloads), judged as strictly as they are sent."""

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
"""Filters that answer a number."""


def syntax_problem(text: str) -> str | None:
    """What is wrong with the Liquid of a text, or None."""
    try:
        compiled(text, markup=False)
    except LiquidError as error:
        return f"is not Liquid: {str(error).splitlines()[0]}"
    return None


def problems(text: str, variables: Iterable[str], *, told: bool = False, links: bool = True) -> list[str]:
    """All that is wrong with a text that may show the contact, the enrollment and these variables of its own.

    `told` means that what may not be there needs a `default`: contacts read it, or a number is computed from it.
    `links` are the ways out, which only messages have.
    """
    if problem := syntax_problem(text):
        return [problem]
    return [problem.message for problem in check_text(text, variables, told=told, links=links)]


def is_number(text: str) -> bool:
    """Whether a text is nothing but one expression whose last filter computes a number."""
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
