"""Pass many rows to one statement, with columns as PostgreSQL arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""`json.dumps` with options would make one for each value."""


def as_json(value: Any) -> str:
    """JSON text for a `::jsonb` cast."""
    return _ENCODER.encode(value)


def as_json_list(values: Iterable[Any]) -> list[str]:
    """JSON texts, one for a `::jsonb` cast of each value."""
    return [as_json(value) for value in values]


def many(alias: str, *, prefix: str = "", **types: str) -> str:
    """A FROM item with many rows: each column is one array parameter, `prefix` + its name; `ord` counts from 1.

    The sub-selects hide the arrays' lengths from the planner. It then keeps one plan for every call instead of planning
    each call anew (measured: planning was half of PostgreSQL's work for an event).
    """
    arrays = ", ".join(f"(SELECT CAST(:{prefix}{name} AS {kind}[]))" for name, kind in types.items())
    return f"unnest({arrays}) WITH ORDINALITY AS {alias} ({', '.join(types)}, ord)"


def any_of(name: str, kind: str = "text") -> str:
    """An array parameter for `= …`, with its length hidden from the planner in the same way."""
    return f"ANY((SELECT CAST(:{name} AS {kind}[]))::{kind}[])"


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
