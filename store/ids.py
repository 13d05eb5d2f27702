"""Identifiers that sort by the time they were made (UUID version 7), and the digest of texts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_id() -> str:
    """A UUID version 7 as text: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def is_id(text: str) -> bool:
    """Whether the text is an id of ours: anything else cannot be in the database and must not reach it."""
    return _UUID.fullmatch(text) is not None


def digest(data: Any) -> str:
    """SHA-256 of the canonical JSON of `data`, in hex."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
