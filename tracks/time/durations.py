"""Durations as people write them: `90s`, `15m`, `36h`, `2d`, `1w`, `1d12h`, or ISO 8601 (`P2D`, `PT36H`).

A day is 24 hours: `wait: 2d` is a span of time. To meet a local hour, use `wait_until`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import NamedTuple

LONGEST = timedelta(days=3660)
"""A longer duration is refused: it is probably a typing mistake."""

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SHORT = re.compile(r"(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?", re.ASCII)
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?P<t>T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)S)?)?", re.ASCII
)
_RIGHT = "write for example 90s, 15m, 36h, 2d, 1w, 1d12h or P2D"


class Shift(NamedTuple):
    """The distance of a moment from a date: calendar days, and a span of time added to them."""

    days: int = 0
    span: timedelta = timedelta(0)


def parse_duration(text: str) -> timedelta:
    """Read a duration, exact to the second; a leading `-` makes it negative.

    Raises ValueError with a sentence that says how to write it.
    """
    shift = parse_shift(text)
    return timedelta(days=shift.days) + shift.span


def parse_shift(text: str) -> Shift:
    """As `parse_duration`, with weeks and days separate from hours: `1d` and `24h` differ where clocks change.

    Raises ValueError as `parse_duration` does.
    """
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    body = body.removeprefix("-").replace(" ", "")
    if re.match(r"P(\d+[WD])*\d+[YM]", body):
        raise ValueError(f"'{text}' has years or months, which have no fixed length; {_RIGHT}")
    match = _SHORT.fullmatch(body) or _ISO.fullmatch(body)
    parts = {unit: value for unit, value in (match.groupdict() if match else {}).items() if value and unit != "t"}
    if match is None or not parts or match.groupdict().get("t") == "T":
        raise ValueError(f"'{text}' is not a duration; {_RIGHT}")
    if max(map(len, parts.values())) > 9:
        raise ValueError(f"'{text}' is longer than 10 years")
    days = 7 * int(parts.pop("w", 0)) + int(parts.pop("d", 0))
    seconds = sum(_UNITS[unit] * int(value) for unit, value in parts.items())
    if days * _UNITS["d"] + seconds > LONGEST.total_seconds():
        raise ValueError(f"'{text}' is longer than 10 years")
    return Shift(sign * days, sign * timedelta(seconds=seconds))


def format_shift(shift: Shift) -> str:
    """The canonical way to write a shift: `-1d12h`. 24 hours are written as hours, not as a day."""
    rest = round(abs(shift.span).total_seconds())
    out = f"{abs(shift.days)}d" if shift.days else ""
    for unit in "hms":
        count, rest = divmod(rest, _UNITS[unit])
        out += f"{count}{unit}" if count else ""
    return ("-" if shift < Shift() else "") + out if out else "0s"


def format_duration(span: timedelta) -> str:
    """The canonical way to write a duration: days, hours, minutes, seconds (`1d12h`)."""
    rest = round(abs(span).total_seconds())
    out = "-" if span < timedelta(0) else ""
    for unit in "dhms":
        count, rest = divmod(rest, _UNITS[unit])
        out += f"{count}{unit}" if count else ""
    return out if out.strip("-") else "0s"
