"""What a provider's refusal for good leaves behind: a failed message, and perhaps an address not to be tried again."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.providers.provider_errors import Fault
from store.people import suppressions
from store.schema.rows import Channel
from store.sending import settling
from store.sending.messages import Message


async def fail(
    tx: AsyncConnection, message_id: str, *, token: str, fault: Fault, channel: Channel, address: str | None
) -> Message:
    """Settle the message as failed; suppress `address`, to which it was going, where the fault is the address."""
    row = await settling.settle(tx, message_id, token=token, outcome="failed", reason=str(fault))
    if fault.suppress and address:
        await suppressions.add(tx, channel, address, fault.suppress)
    return row
