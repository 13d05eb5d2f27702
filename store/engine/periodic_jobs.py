"""What one process at a time has to do now and then: whoever finds it due does it, and says when it is due again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of

LONGEST_REST = timedelta(hours=1)
"""No chore rests longer: a time further ahead was told by a clock that has gone back, and counts as due."""


async def any_due(tx: AsyncConnection, names: Sequence[str], now: datetime) -> bool:
    """Whether one of these may be due, for one statement and no lock; most looks end here."""
    asked = {"names": list(names), "now": now, "ahead": now + LONGEST_REST}
    return bool((await tx.execute(_RESTING, asked)).scalar_one() < len(names))


async def due(tx: AsyncConnection, name: str, now: datetime) -> bool:
    """Whether it is due and nobody else is at it; it is this transaction's alone until it ends."""
    known = (await tx.execute(_READ, {"name": name})).first()
    if known is None:
        await tx.execute(_NEW, {"name": name})
    elif now < known.next_at <= now + LONGEST_REST:
        return False
    return (await tx.execute(_TAKE, {"name": name, "now": now, "ahead": now + LONGEST_REST})).first() is not None


async def again(tx: AsyncConnection, name: str, at: datetime) -> None:
    """Not before then; without this it stays due."""
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
