"""Identifiers that sort by their time of creation (UUID version 7), and digests of data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
import uuid
from datetime import datetime
from typing import Any

_order = threading.Lock()
_last = 0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_id() -> str:
    """A UUID version 7 as text, greater than every one that this process made before.

    RFC 9562, method 3 of section 6.2: 48 bits of milliseconds, 12 bits of the fraction of a millisecond, then 62
    random bits. Within the same quarter of a microsecond, or after the clock was set back, the time part counts up from
    the last id, because rows that are read in the order of their ids must keep that order.
    """
    global _last
    with _order:
        ticks = max((time.time_ns() << 12) // 1_000_000, _last + 1)
        _last = ticks
    milliseconds, fraction = ticks >> 12, ticks & 0xFFF
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random))


def first_id_of(moment: datetime) -> str:
    """The smallest id of that millisecond; every id made since then is at least as large."""
    milliseconds = max(int(moment.timestamp() * 1000), 0)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62))


def is_id(text: str) -> bool:
    """Whether the text has the form of our ids. Any other text cannot be in the database and must not reach it."""
    return _UUID.fullmatch(text) is not None


def digest(data: Any) -> str:
    """SHA-256 of the canonical JSON of `data`, in hex."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
