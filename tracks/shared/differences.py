"""The differences between two documents as data, one line each: `caps[0].most: 1 → 2`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 80
"""The longest value, in characters, that is shown in full."""
_NOTHING = object()


def differences(before: Any, after: Any) -> list[str]:
    """Every place where two JSON documents differ, in the order of the documents; empty if they are equal."""
    return list(_differing(before, after, ""))


def _differing(before: Any, after: Any, place: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{place}.{key}" if place else str(key)
            yield from _differing(before.get(key, _NOTHING), after.get(key, _NOTHING), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            one, other = (side[index] if index < len(side) else _NOTHING for side in (before, after))
            yield from _differing(one, other, f"{place}[{index}]")
    elif before is _NOTHING:
        yield f"{place}: added: {_short(after)}"
    elif after is _NOTHING:
        yield f"{place}: removed: {_short(before)}"
    elif before != after or type(before) is not type(after):
        yield f"{place}: {_short(before)} → {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
