"""Passing many rows to one statement: columns as PostgreSQL arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any


def as_json(value: Any) -> str:
    """JSON text for a `::jsonb` cast."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def as_json_list(values: Iterable[Any]) -> list[str]:
    """JSON texts for a `::jsonb` cast of each."""
    return [as_json(value) for value in values]


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
