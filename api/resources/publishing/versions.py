"""The versions of a published document as the API lists them, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from api.http.pagination import Cursors
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


def before(cursors: Cursors, listing: list[str], cursor: str | None) -> int | None:
    """The version below which the page of this cursor begins; None on the first page."""
    position = cursors.read(listing, cursor)
    return int(position[0]) if position else None


def page(cursors: Cursors, listing: list[str], found: Sequence[versions.VersionSummary], limit: int) -> Versions:
    """The page of `found`, which holds one version more than the page where another page follows."""
    shown, following = cursors.cut(listing, found, limit, lambda one: [one.version])
    listed = [VersionSummary(version=one.version, digest=one.digest, published_at=one.published_at) for one in shown]
    return Versions(versions=listed, next=following)
