"""A lock for publishers, so that what one publisher has checked cannot change before it is published."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK = 0x7075_626C_6973_68


async def take_turns(tx: AsyncConnection) -> None:
    """Wait for other publishers; no other can publish until this transaction ends."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
