"""Reading the ledger: one message, an enrollment's messages, those whose outcome nobody knows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import is_id
from store.engine.sql import any_of
from store.schema.rows import Channel, columns, read_row

MessageStatus = Literal["sending", "sent", "failed", "skipped", "unknown", "released", "deferred"]
Progress = Literal["accepted", "delayed", "delivered", "failed", "bounced", "complained"]
"""What a provider reports of a message that it has; a later one in this order replaces an earlier one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the ledger. `delivery` is what the provider's callbacks say; times are real, UTC."""

    id: str
    effect_key: str
    enrollment_id: str
    contact_id: str
    track: str
    step: str
    channel: Channel
    status: MessageStatus
    token: str
    attempts: int
    provider_id: str | None
    reason: str
    delivery: Progress | None
    delivery_reason: str
    delivery_at: datetime | None
    claimed_at: datetime
    settled_at: datetime | None
    topic: str
    held_since: datetime | None
    """Since when it has been put off by anything but a breaker; None if it never was."""
    due_at: datetime | None
    """When it asks again, while `deferred`."""
    address_hash: str | None
    """Of the address that it goes to (`store.schema.addresses`); None once the contact is erased."""


async def get(tx: AsyncConnection, message_id: str) -> Message | None:
    """A message, or None where there is none."""
    if not is_id(message_id):
        return None
    row = (await tx.execute(_GET, {"id": message_id})).mappings().first()
    return read_row(Message, row) if row else None


async def get_many(tx: AsyncConnection, message_ids: Collection[str]) -> dict[str, Message]:
    """Those of these messages that there are, by id."""
    ids = [one for one in message_ids if is_id(one)]
    rows = await tx.execute(_GET_MANY, {"ids": ids}) if ids else None
    return {row["id"]: read_row(Message, row) for row in rows.mappings()} if rows else {}


async def by_provider_id(tx: AsyncConnection, channel: Channel, provider_id: str) -> Message | None:
    """The message that the provider knows by this id."""
    row = (await tx.execute(_BY_PROVIDER, {"channel": channel, "provider_id": provider_id})).mappings().first()
    return read_row(Message, row) if row else None


async def answered(tx: AsyncConnection, contact_ids: Collection[str], *, sender: str) -> Message | None:
    """The text message that a reply to `sender` by one of these contacts answers: the last one from there.

    Which sender a message had is known from the provider's callbacks; one without any may have had this one.
    """
    row = (await tx.execute(_ANSWERED, {"ids": list(contact_ids), "sender": sender})).mappings().first()
    return read_row(Message, row) if row else None


async def known_provider_ids(tx: AsyncConnection, channel: Channel, ids: Collection[str]) -> set[str]:
    """Those of the provider's ids that the ledger has: the others belong to no settled message."""
    rows = await tx.execute(_KNOWN, {"channel": channel, "ids": list(ids)})
    return {row.provider_id for row in rows}


COLUMNS = columns(Message, "m")
_GET = text(f"SELECT {COLUMNS} FROM message m WHERE id = :id")
_GET_MANY = text(f"SELECT {COLUMNS} FROM message m WHERE id = {any_of('ids', 'uuid')}")
_BY_PROVIDER = text(f"""
    SELECT {COLUMNS} FROM message m WHERE channel = :channel AND provider_id = :provider_id ORDER BY id LIMIT 1
""")
_ANSWERED = text(f"""
    SELECT {COLUMNS} FROM message m
    WHERE contact_id = {any_of("ids")} AND channel = 'sms' AND status = 'sent' AND NOT EXISTS (
        SELECT 1 FROM event e
        WHERE e.event_id IN ('twilio\\:' || m.id || '\\:sms.sent', 'twilio\\:' || m.id || '\\:sms.delivered')
            AND e.properties ->> 'sender' <> :sender
    )
    ORDER BY m.id DESC LIMIT 1
""")
_KNOWN = text(f"""
    SELECT DISTINCT provider_id FROM message
    WHERE channel = :channel AND provider_id IS NOT NULL AND provider_id = {any_of("ids")}
""")
