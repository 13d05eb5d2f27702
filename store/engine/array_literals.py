"""Write lists as PostgreSQL's array literals: texts, moments, whole numbers, true and false.

psycopg writes a list item by item in Python. That took a seventh of the CPU of a batch of events (measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

_BETWEEN = "\0"
"""PostgreSQL stores no such character, so it can stand between two texts while both are escaped."""


def array_literal(values: Sequence[Any]) -> str | None:
    """The literal, whose type the statement's cast decides; None for a list that psycopg has to write.

    All items have to be of one of these kinds. See https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.
    """
    if not values:
        return "{}"
    (kind, *others) = set(map(type, values))
    if others:
        return None
    if kind is str:
        joined = _BETWEEN.join(values)
        if joined.count(_BETWEEN) != len(values) - 1:
            return None
        escaped = joined.replace("\\", "\\\\").replace('"', '\\"')
        return '{"' + escaped.replace(_BETWEEN, '","') + '"}'
    if kind is datetime:
        return '{"' + '","'.join(map(str, values)) + '"}'
    if kind is bool:
        return "{" + ",".join("t" if value else "f" for value in values) + "}"
    return "{" + ",".join(map(str, values)) + "}" if kind is int else None
