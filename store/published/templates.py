"""Published message templates, read by name when a message is sent, or by a pinned version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import digest
from store.engine.sql import utc_now
from store.published.versions import MINE, Published, ReadOnce, VersionSummary, version_summaries
from store.schema.tables import published_tables as tables
from tracks.content.templates.template_model import TemplateKind

_CACHE_SIZE = 500


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One immutable version; `data` is what the publisher derived from the source (variables and so on)."""

    name: str
    version: int
    kind: TemplateKind
    source: str
    data: Mapping[str, Any]
    digest: str
    published_at: datetime


_read: ReadOnce[tuple[str, int], TemplateVersion] = ReadOnce(_CACHE_SIZE)


async def publish(
    tx: AsyncConnection,
    name: str,
    kind: TemplateKind,
    source: str,
    data: Mapping[str, Any],
    *,
    now: datetime | None = None,
) -> Published:
    """Store a new version unless the newest is the same. Concurrent publishers wait for each other."""
    fingerprint = digest({"kind": kind, "source": source, "data": data})
    latest = (await tx.execute(_LOCK, {"name": name})).scalar_one()
    if latest:
        newest = await get(tx, name, latest)
        if newest is not None and newest.digest == fingerprint:
            return Published(latest, False)
    version = latest + 1
    await tx.execute(
        insert(tables.template_version).values(
            template=name,
            version=version,
            kind=kind,
            source=source,
            data=dict(data),
            digest=fingerprint,
            published_at=now or utc_now(),
        )
    )
    await tx.execute(update(tables.template).where(tables.template.c.name == name).values(latest=version))
    return Published(version, True)


async def get(tx: AsyncConnection, name: str, version: int | None = None) -> TemplateVersion | None:
    """One version, or the newest if no number is given. A version is cached, so only the newest number is queried."""
    if version is None:
        version = (await tx.execute(_LATEST, {"name": name})).scalar_one_or_none()
        if version is None:
            return None
    known = _read.get(tx, (name, version))
    if known is not None:
        return known
    table = tables.template_version
    row = (
        await tx.execute(_ROWS.add_columns(MINE).where(table.c.template == name, table.c.version == version))
    ).first()
    if row is None:
        return None
    loaded = TemplateVersion(*row[:-1])
    _read.keep(tx, (name, version), loaded, mine=row.mine)
    return loaded


async def list_all(tx: AsyncConnection, *, after: str = "", limit: int = 100) -> list[TemplateVersion]:
    """The newest version of each template by name, those after `after` (keyset pagination)."""
    table = tables.template_version
    statement = (
        _ROWS.join(tables.template, tables.template.c.name == table.c.template)
        .where(table.c.version == tables.template.c.latest, table.c.template > after)
        .order_by(table.c.template)
        .limit(limit)
    )
    return [TemplateVersion(*row) for row in await tx.execute(statement)]


async def named(tx: AsyncConnection, names: set[str]) -> dict[str, TemplateVersion]:
    """The newest version of each of these templates that exists."""
    table = tables.template_version
    statement = _ROWS.join(tables.template, tables.template.c.name == table.c.template).where(
        table.c.version == tables.template.c.latest, table.c.template.in_(sorted(names))
    )
    return {row[0]: TemplateVersion(*row) for row in await tx.execute(statement)}


async def versions(
    tx: AsyncConnection, name: str, *, before: int | None = None, limit: int = 100
) -> list[VersionSummary]:
    """A template's versions below `before`, newest first; empty if there is no such template."""
    table = tables.template_version
    return await version_summaries(tx, table, table.c.template, name, before=before, limit=limit)


_LOCK = text("""
    INSERT INTO template (name, latest) VALUES (:name, 0)
    ON CONFLICT (name) DO UPDATE SET latest = template.latest
    RETURNING latest
""")
_LATEST = text("SELECT latest FROM template WHERE name = :name")  # runs at every send
_TABLE = tables.template_version
_ROWS = select(
    _TABLE.c.template,
    _TABLE.c.version,
    _TABLE.c.kind,
    _TABLE.c.source,
    _TABLE.c.data,
    _TABLE.c.digest,
    _TABLE.c.published_at,
)
