"""Stopping a track or a whole channel whose messages do harm, and letting it go on at a bounded rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Hold:
    """A message has to wait for a breaker; `until` is real time."""

    scope: str
    until: datetime


async def turn(tx: AsyncConnection, scopes: Sequence[str], now: datetime) -> Hold | None:
    """Whether a message under these breakers, none of them closed, has to wait; None: it goes now."""
    return None
