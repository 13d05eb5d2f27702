"""How values print as text: a missing value as nothing, an object as JSON, never in Python's own spelling."""

from __future__ import annotations

import json
from typing import Any

from liquid import Markup, escape


def text_of(value: Any, *, markup: bool = False) -> str:
    """A value as Liquid prints it. With `markup`, it is escaped for HTML unless it is markup already.

    A list prints its items one after the other, an object prints as JSON, `null` prints nothing.
    """
    if isinstance(value, str):
        text = value
    elif value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, list | tuple):
        parts = [text_of(item, markup=markup) for item in value]
        text = Markup("").join(parts) if markup else "".join(parts)
    elif isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
    elif isinstance(value, range):
        text = f"{value.start}..{value.stop - 1}"
    else:
        text = value if markup and hasattr(value, "__html__") else str(value)
    return escape(text) if markup else text
