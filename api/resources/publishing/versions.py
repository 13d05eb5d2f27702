"""The versions of a published document as the API lists them, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.context import Context
from api.http.problems import not_found
from store.published import versions


class VersionSummary(BaseModel):
    """One version, as listed."""

    version: int
    digest: str
    published_at: datetime


class Versions(BaseModel):
    """Versions, newest first."""

    versions: list[VersionSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class ReadVersions(Protocol):
    """Reads versions from the database: those below `before`, newest first."""

    async def __call__(
        self, tx: AsyncConnection, name: str, *, before: int | None, limit: int
    ) -> list[versions.VersionSummary]: ...


async def list_versions(
    ctx: Context, kind: str, name: str, read: ReadVersions, limit: int, cursor: str | None
) -> Versions:
    """A page of the document's versions. Raises the problem `not-found` if it was never published."""
    listing = [f"{kind}-versions", name]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        found = await read(tx, name, before=int(position[0]) if position else None, limit=limit + 1)
    if not found and position is None:
        raise not_found(f"{kind} {name}")
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.version])
    listed = [VersionSummary(version=one.version, digest=one.digest, published_at=one.published_at) for one in shown]
    return Versions(versions=listed, next=following)
