"""The published policy: immutable versions, of which the newest is in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import digest
from store.engine.sql import utc_now
from store.published.versions import MINE, Published, ReadOnce
from store.schema.tables.published_tables import policy as table
from tracks.policy.workspace_policy import NO_POLICY, Policy, policy_from_data, policy_to_data

_CACHE_SIZE = 20
_POLICY_LOCK = 0x706F_6C69_6379

NEWEST = "(SELECT max(version) FROM policy)"
"""SQL for the version number to pass to `of_version`, so that a claim reads it without a statement of its own."""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version; `version` is 0 if none was ever published."""

    version: int
    policy: Policy
    source: str
    published_at: datetime | None


_read: ReadOnce[int, PolicyVersion] = ReadOnce(_CACHE_SIZE)


async def publish(tx: AsyncConnection, policy: Policy, source: str, *, now: datetime | None = None) -> Published:
    """Store a new version unless the newest is the same policy. Concurrent publishers wait for each other."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POLICY_LOCK})
    data = policy_to_data(policy)
    fingerprint = digest(data)
    newest = (
        await tx.execute(select(table.c.version, table.c.digest).order_by(table.c.version.desc()).limit(1))
    ).first()
    if newest is not None and newest.digest == fingerprint:
        return Published(newest.version, False)
    version = newest.version + 1 if newest else 1
    await tx.execute(
        insert(table).values(
            version=version, source=source, data=data, digest=fingerprint, published_at=now or utc_now()
        )
    )
    return Published(version, True)


async def current(tx: AsyncConnection) -> PolicyVersion:
    """The policy in force."""
    number = (await tx.execute(text(f"SELECT {NEWEST}"))).scalar_one_or_none()
    return await of_version(tx, number)


def known(tx: AsyncConnection) -> Policy:
    """The newest policy that this process has read (each claim reads it); an empty policy if it has read none."""
    newest = max(_read.keys(tx), default=None)
    held = _read.get(tx, newest) if newest is not None else None
    return held.policy if held else NO_POLICY


async def of_version(tx: AsyncConnection, number: int | None) -> PolicyVersion:
    """This version, which each process reads once. None means that no policy was published."""
    if number is None:
        return PolicyVersion(0, NO_POLICY, "", None)
    if known := _read.get(tx, number):
        return known
    columns = select(table.c.data, table.c.source, table.c.published_at, MINE)
    row = (await tx.execute(columns.where(table.c.version == number))).one()
    read = PolicyVersion(number, policy_from_data(row.data), row.source, row.published_at)
    _read.keep(tx, number, read, mine=row.mine)
    return read
