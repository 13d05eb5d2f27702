"""Numbers in contact attributes: read from a text, and added in decimal (0.1 + 0.2 is 0.3)."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[-+]?(\d{1,19}(\.\d{0,30})?|\.\d{1,30})([eE][-+]?\d{1,3})?", re.ASCII)
_INT64 = 2**63


def number_of(value: Any) -> int | float:
    """A number, or the number that a whole text represents. Raises ValueError for other values, and above 64 bits."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            raise ValueError("is not a number")
        value = int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    if not math.isfinite(value) or (isinstance(value, int) and not -_INT64 <= value < _INT64):
        raise ValueError("does not fit 64 bits")
    return value


def add(value: Any, amount: int | float) -> int | float:
    """The sum of a value and an amount; a missing value counts as 0. Raises ValueError as `number_of` does."""
    before = number_of(0 if value is None else value)
    if isinstance(before, int) and isinstance(amount, int):
        return number_of(before + amount)
    return number_of(float(Decimal(str(before)) + Decimal(str(amount))))
