"""A date without a time in a condition: `timestamp("2026-03-01")` is the first moment of that day in UTC.

CEL's own `timestamp` knows moments only. Conditions reckon in UTC, as its calendar functions do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tracks.syntax import SyntaxUnknownError, parse, text_of

DATED = "first_moment"
"""The function that stands around what `timestamp` is given."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MIDNIGHT = "T00:00:00Z"


def with_dates(expression: str) -> tuple[str, bool]:
    """The expression with `timestamp` taking dates too, and whether it needs `DATED` for that."""
    try:
        nodes = parse(expression)
    except SyntaxUnknownError:
        return expression, False
    added: list[tuple[int, str]] = []
    needed = False
    for node in nodes:
        if node.kind != "call" or node.name != "timestamp" or node.method or len(node.args) != 1:
            continue
        given = nodes[node.args[0]]
        if given.kind != "literal":
            added += [(given.start, f"{DATED}("), (given.end, ")")]
            needed = True
        elif _DAY.fullmatch(text_of(given) or ""):
            added.append((given.end - 1, _MIDNIGHT))
    for at, text in sorted(added, key=lambda addition: addition[0], reverse=True):
        expression = expression[:at] + text + expression[at:]
    return expression, needed


def first_moment(told: Callable[[], object]) -> Callable[[Any], Any]:
    """What `DATED` does: a date becomes its first moment, which is told; anything else stays as it is."""

    def moment(value: Any) -> Any:
        if isinstance(value, str) and _DAY.fullmatch(value):
            told()
            return value + _MIDNIGHT
        return value

    return moment
