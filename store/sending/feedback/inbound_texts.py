"""The text messages from contacts that are processed already: only the provider's ids, not their texts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import utc_now


async def is_new(tx: AsyncConnection, provider_id: str, *, now: datetime | None = None) -> bool:
    """Record this text message; False if it was recorded already. Concurrent calls wait for each other."""
    return (await tx.execute(_HEARD, {"id": provider_id, "now": now or utc_now()})).rowcount > 0


_HEARD = text("INSERT INTO inbound_text (provider_id, received_at) VALUES (:id, :now) ON CONFLICT DO NOTHING")
