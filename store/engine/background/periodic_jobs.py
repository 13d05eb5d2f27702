"""Periodic jobs that one process at a time does: any process that finds a job due does it and sets its next time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of

LONGEST_REST = timedelta(hours=1)
"""The longest time until a job's next run. A later time comes from a clock that was wrong, and counts as due."""


async def any_due(tx: AsyncConnection, names: Sequence[str], now: datetime) -> bool:
    """Whether one of these jobs may be due: a cheap check by one statement, without a lock."""
    asked = {"names": list(names), "now": now, "ahead": now + LONGEST_REST}
    return bool((await tx.execute(_RESTING, asked)).scalar_one() < len(names))


async def due(tx: AsyncConnection, name: str, now: datetime) -> bool:
    """Whether the job is due and no other process is doing it. It is then locked until the transaction ends."""
    known = (await tx.execute(_READ, {"name": name})).first()
    if known is None:
        await tx.execute(_NEW, {"name": name})
    elif now < known.next_at <= now + LONGEST_REST:
        return False
    return (await tx.execute(_TAKE, {"name": name, "now": now, "ahead": now + LONGEST_REST})).first() is not None


async def again(tx: AsyncConnection, name: str, at: datetime) -> None:
    """Set the job's next time. Without this call the job stays due."""
    await tx.execute(_AGAIN, {"name": name, "at": at})


_RESTING = text(f"""
    SELECT count(*) FROM chore WHERE name = {any_of("names")} AND next_at > :now AND next_at <= :ahead
""")
_READ = text("SELECT next_at FROM chore WHERE name = :name")
_NEW = text("INSERT INTO chore (name, next_at) VALUES (:name, '-infinity') ON CONFLICT DO NOTHING")
_TAKE = text("""
    SELECT FROM chore WHERE name = :name AND (next_at <= :now OR next_at > :ahead) FOR UPDATE SKIP LOCKED
""")
_AGAIN = text("""
    INSERT INTO chore (name, next_at) VALUES (:name, :at) ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at
""")
