"""The values of HubSpot's properties, which webhooks write as text, as the values of attributes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

Value = str | int | float | bool | None


def typed(kind: str, value: str | None) -> Value:
    """The value as that type of attribute; None if there is none, or it is not of that type.

    HubSpot writes dates and moments as milliseconds since 1970, or in the form of ISO 8601. Dates become `2026-11-28`,
    moments ISO 8601 in UTC.
    """
    if value is None:
        return None
    try:
        return _READ[kind](value.strip())
    except (ValueError, OverflowError):
        return None


def _number(value: str) -> Value:
    if re.fullmatch(r"-?[0-9]{1,15}", value):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None


def _bool(value: str) -> Value:
    return {"true": True, "false": False}.get(value.lower())


def _date(value: str) -> Value:
    return _moment(value).date().isoformat()


def _datetime(value: str) -> Value:
    return _moment(value).isoformat()


def _moment(value: str) -> datetime:
    if re.fullmatch(r"-?[0-9]{1,15}", value):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(value))
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_READ: Mapping[str, Callable[[str], Value]] = {
    "text": str,
    "number": _number,
    "bool": _bool,
    "date": _date,
    "datetime": _datetime,
}
