"""Record a provider's permanent refusal: the message has failed, and its address may be suppressed."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.providers.provider_errors import Fault
from store.people.consents import reachability, suppressions
from store.schema.rows import Channel
from store.sending import send_outcomes
from store.sending.messages.messages import Message


async def fail(
    tx: AsyncConnection, message_id: str, *, token: str, fault: Fault, channel: Channel, address: str | None
) -> Message:
    """Settle the message as failed; suppress `address`, the message's recipient, if the address is the cause."""
    suppressed: list[tuple[Channel, str]] = [(channel, address)] if fault.suppress and address else []
    concerned = await reachability.hold(tx, addresses=suppressed) if suppressed else ()
    row = await send_outcomes.settle(tx, message_id, token=token, outcome="failed", reason=str(fault))
    if fault.suppress and address:
        await suppressions.add(tx, channel, address, fault.suppress)
    await reachability.tell(tx, concerned)
    return row
