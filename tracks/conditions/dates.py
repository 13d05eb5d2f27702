"""Dates in a condition: `timestamp("2026-03-01")` is the first moment of that day in UTC.

CEL's own `timestamp` accepts only one format, with an offset. Real data may have a date alone, or a date and time as
databases and languages write them (`2026-03-01 09:00:00`). `timestamp` here accepts whatever `wait_date` accepts.
CEL's calendar functions compute in UTC, so a value without an offset counts as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tracks.conditions.syntax_tree import SyntaxUnknownError, parse, text_of

DATED = "first_moment"
"""The function that is put around the argument of `timestamp`."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MIDNIGHT = "T00:00:00Z"
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
"""The format that CEL reads by itself (RFC 3339)."""


def with_dates(expression: str) -> tuple[str, bool]:
    """The expression, changed so that `timestamp` accepts dates, and whether it then needs the function `DATED`."""
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
    """The function `DATED`: a date becomes its first moment, and a time without an offset becomes a time in UTC.

    It calls `told` at each such change, and returns any other value as it is.
    """

    def moment(value: Any) -> Any:
        written = _in_utc(value) if isinstance(value, str) else None
        if written is None:
            return value
        told()
        return written

    return moment


def _in_utc(value: str) -> str | None:
    """A date, or a date and time, in the format of CEL; None if the value has this format already or is no date."""
    text = value.strip()
    if _MOMENT.fullmatch(value) or not _DAY.match(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
