"""Verdicts of conditions over the same data, kept by the process: most events are looked at again and again.

A condition over one event, or over one contact, has the same verdict whenever it is computed over the same data, and
computing it costs many times more than recognizing the data. Only a hash of the data is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from tracks.conditions.conditions import Verdict

MOST = 50_000
"""Verdicts that are kept; then all are forgotten."""

_KEPT: dict[tuple[str, bytes], Verdict] = {}


def fingerprint(data: object) -> bytes:
    """A hash of plain data. Data of another type or in another order has another one: that costs only time."""
    return blake2b(repr(data).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def verdict_of(condition: str, data: bytes, compute: Callable[[], Verdict]) -> Verdict:
    """The verdict over data with that fingerprint, computed if it is not known."""
    key = (condition, data)
    found = _KEPT.get(key)
    if found is None:
        if len(_KEPT) >= MOST:
            _KEPT.clear()
        found = _KEPT[key] = compute()
    return found
