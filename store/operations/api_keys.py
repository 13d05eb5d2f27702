"""API keys: the secret is shown once, and stored as SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import is_id, new_id
from store.engine.sql import utc_now
from store.schema.tables.operations_tables import api_key

PREFIX = "pk_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed, without its secret."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


async def create(tx: AsyncConnection, name: str) -> tuple[ApiKey, str]:
    """Create a key. The second value is the secret, which is not stored and cannot be shown again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(new_id(), name, utc_now(), None)
    await tx.execute(
        insert(api_key).values(id=key.id, key_hash=_hash(secret), name=name, created_at=key.created_at, revoked_at=None)
    )
    return key, secret


async def find(tx: AsyncConnection, secret: str) -> ApiKey | None:
    """The key with this secret, unless it is revoked."""
    row = (await tx.execute(_ALL.where(api_key.c.key_hash == _hash(secret), api_key.c.revoked_at.is_(None)))).first()
    return ApiKey(*row) if row else None


async def list_all(tx: AsyncConnection) -> list[ApiKey]:
    """Every key, oldest first."""
    return [ApiKey(*row) for row in await tx.execute(_ALL.order_by(api_key.c.id))]


async def revoke(tx: AsyncConnection, key_id: str) -> bool:
    """Revoke a key; returns whether there was a valid one."""
    if not is_id(key_id):
        return False
    statement = (
        update(api_key).where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None)).values(revoked_at=utc_now())
    )
    return (await tx.execute(statement)).rowcount > 0


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


_ALL = select(api_key.c.id, api_key.c.name, api_key.c.created_at, api_key.c.revoked_at)
