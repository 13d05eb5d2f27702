"""Whether a contact may be sent messages at all: address, suppression, consent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.published import policies
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact
from tracks.policy.permission import UNSUBSCRIBED as UNSUBSCRIBED
from tracks.policy.permission import WHOLE_CHANNEL as WHOLE_CHANNEL
from tracks.policy.permission import refusal as refusal

CONSENTS = """(
    SELECT jsonb_object_agg(n.topic, n.status) FROM consent n
    WHERE n.contact_id = {contact} AND n.channel = {channel}
)"""
"""SQL for the argument `consents` of `refusal`."""


async def refusals(
    tx: AsyncConnection, contact: Contact, channels: Sequence[Channel], *, topic: str, transactional: bool
) -> dict[Channel, str]:
    """`refusal` for several channels at once, by their current state."""
    found = await policies.current(tx)
    hashes = [address_hash(channel, contact.address(channel) or "") for channel in channels]
    rows = await tx.execute(_READ, {"id": contact.id, "channels": list(channels), "hashes": hashes})
    return {
        row.channel: refusal(
            found.policy,
            row.channel,
            topic=topic,
            transactional=transactional,
            address=contact.address(row.channel),
            suppressed=row.suppressed,
            consents=row.consents or {},
        )
        for row in rows
    }


_READ = text(f"""
    SELECT a.channel, s.reason AS suppressed, {CONSENTS.format(contact=":id", channel="a.channel")} AS consents
    FROM unnest(CAST(:channels AS text[]), CAST(:hashes AS text[])) AS a (channel, hash)
    LEFT JOIN suppression s ON s.channel = a.channel AND s.address_hash = a.hash
""")
