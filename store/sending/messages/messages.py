"""Read the ledger: single messages, by their id, by the provider's id, or by the reply to them."""

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
"""What a provider reports about an accepted message; a later value in this order replaces an earlier one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the ledger. `delivery` comes from the provider's callbacks; times are real, UTC."""

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
    """Since when anything but a breaker has deferred it; None if nothing ever did."""
    due_at: datetime | None
    """When it asks again, while `deferred`."""
    address_hash: str | None
    """The hash of the address that it is sent to (`store.schema.addresses`); None after the contact is erased."""
    recipient: str = ""
    """Where the address of somebody else was found to whom it is sent, such as `attribute owner_email`; empty: it is
    sent to the contact."""


async def get(tx: AsyncConnection, message_id: str) -> Message | None:
    """A message, or None if there is none."""
    if not is_id(message_id):
        return None
    row = (await tx.execute(_GET, {"id": message_id})).mappings().first()
    return read_row(Message, row) if row else None


async def get_many(tx: AsyncConnection, message_ids: Collection[str]) -> dict[str, Message]:
    """Those of these messages that exist, by id."""
    ids = [one for one in message_ids if is_id(one)]
    rows = await tx.execute(_GET_MANY, {"ids": ids}) if ids else None
    return {row["id"]: read_row(Message, row) for row in rows.mappings()} if rows else {}


async def of_effect(tx: AsyncConnection, effect_key: str) -> Message | None:
    """The message of this effect; None if there is none."""
    row = (await tx.execute(_OF_EFFECT, {"key": effect_key})).mappings().first()
    return read_row(Message, row) if row else None


async def by_provider_id(tx: AsyncConnection, channel: Channel, provider_id: str) -> Message | None:
    """The message with this id of the provider."""
    row = (await tx.execute(_BY_PROVIDER, {"channel": channel, "provider_id": provider_id})).mappings().first()
    return read_row(Message, row) if row else None


async def answered(tx: AsyncConnection, contact_ids: Collection[str], *, sender: str) -> Message | None:
    """The text message to which one of these contacts replied when writing to `sender`: the last one sent from there.

    The sender of a message is known from the provider's callbacks; a message without callbacks may have this sender.
    """
    row = (await tx.execute(_ANSWERED, {"ids": list(contact_ids), "sender": sender})).mappings().first()
    return read_row(Message, row) if row else None


async def known_provider_ids(tx: AsyncConnection, channel: Channel, ids: Collection[str]) -> set[str]:
    """Those of the provider's ids that are in the ledger; the others belong to no settled message."""
    rows = await tx.execute(_KNOWN, {"channel": channel, "ids": list(ids)})
    return {row.provider_id for row in rows}


COLUMNS = columns(Message, "m")
_GET = text(f"SELECT {COLUMNS} FROM message m WHERE id = :id")
_OF_EFFECT = text(f"SELECT {COLUMNS} FROM message m WHERE effect_key = :key")
_GET_MANY = text(f"SELECT {COLUMNS} FROM message m WHERE id = {any_of('ids', 'uuid')}")
_BY_PROVIDER = text(f"""
    SELECT {COLUMNS} FROM message m WHERE channel = :channel AND provider_id = :provider_id ORDER BY id LIMIT 1
""")
_ANSWERED = text(f"""
    SELECT {COLUMNS} FROM message m
    WHERE contact_id = {any_of("ids")} AND channel = 'sms' AND status = 'sent' AND recipient = '' AND NOT EXISTS (
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
