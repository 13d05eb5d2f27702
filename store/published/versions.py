"""What published documents have in common: numbered versions that never change, and that a process reads once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Boolean, Column, ColumnElement, Engine, Table, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

Key = TypeVar("Key", bound=Hashable)
Version = TypeVar("Version")

MINE: ColumnElement[bool] = literal_column("xmin = pg_current_xact_id_if_assigned()::xid", Boolean).label("mine")
"""Whether this very transaction wrote the row. It may yet roll back, so no process remembers it."""


@dataclass(frozen=True, slots=True)
class Published:
    """The newest version, and whether publishing made it (False: it was the same already)."""

    version: int
    created: bool


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """One version, as listed."""

    version: int
    digest: str
    published_at: datetime


class ReadOnce(Generic[Key, Version]):
    """The versions of each database that this process used last, by their key; at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: WeakKeyDictionary[Engine, OrderedDict[Key, Version]] = WeakKeyDictionary()

    def get(self, tx: AsyncConnection, key: Key) -> Version | None:
        """The version, if it is held."""
        held = self._held.get(tx.sync_engine)
        if held is None or key not in held:
            return None
        held.move_to_end(key)
        return held[key]

    def keep(self, tx: AsyncConnection, key: Key, version: Version, *, mine: bool) -> None:
        """Hold a version that was read; `mine` as in `MINE`."""
        if mine:
            return
        held = self._held.setdefault(tx.sync_engine, OrderedDict())
        held[key] = version
        if len(held) > self._size:
            held.popitem(last=False)

    def keys(self, tx: AsyncConnection) -> set[Key]:
        """The keys of all that are held."""
        return set(self._held.get(tx.sync_engine, ()))


async def version_summaries(
    tx: AsyncConnection, table: Table, of: Column[str], name: str, *, before: int | None, limit: int
) -> list[VersionSummary]:
    """The versions of the document `name` (in the column `of`), newest first, those below `before`."""
    statement = select(table.c.version, table.c.digest, table.c.published_at).where(of == name)
    if before is not None:
        statement = statement.where(table.c.version < before)
    rows = await tx.execute(statement.order_by(table.c.version.desc()).limit(limit))
    return [VersionSummary(*row) for row in rows]
