"""Choose the channel of a message: by what is allowed, what the contact agreed to, and what reached the contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import many
from store.people.consents.permission import refusals
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that the message could use."""

    channel: Channel
    topic: str = ""
    transactional: bool = False


async def choose(
    tx: AsyncConnection, contact: Contact, effect_key: str, candidates: Sequence[Candidate], *, best: bool
) -> Channel | None:
    """The channel for the message of this effect; None if none is allowed.

    Call it within the claim, which locks the contact. If a provider has been asked to send the message already, its
    channel stays. Otherwise channels that are not allowed are excluded. With `best`, channels with a granted consent
    come first; among equals, first those whose last message reached the contact, then those without a known result,
    then those whose last message failed. The order of the candidates decides the rest.
    """
    addresses = [contact.address(candidate.channel) for candidate in candidates]
    hashes = [address_hash(c.channel, a) if a else "" for c, a in zip(candidates, addresses, strict=True)]
    asked = {
        "key": effect_key,
        "contact": contact.id,
        "best": best,
        "o_channel": [candidate.channel for candidate in candidates],
        "o_topic": [candidate.topic for candidate in candidates],
        "o_hash": hashes,
    }
    rows = (await tx.execute(_RANKED, asked)).all()
    known: dict[str, Channel] = {candidate.channel: candidate.channel for candidate in candidates}
    if (taken := rows[0].taken) in known:
        return known[taken]
    refused: dict[Channel, str] = {}
    for topic, transactional in dict.fromkeys((c.topic, c.transactional) for c in candidates):
        channels = [c.channel for c in candidates if (c.topic, c.transactional) == (topic, transactional)]
        refused |= await refusals(tx, contact, channels, topic=topic, transactional=transactional)
    return next((known[row.channel] for row in rows if not refused[row.channel]), None)


# Results of messages to an earlier address of the contact do not count for the present one.
_RANKED = text(f"""
    SELECT o.channel, taken.channel AS taken
    FROM {many("o", prefix="o_", channel="text", topic="text", hash="text")}
    LEFT JOIN message taken ON taken.effect_key = :key AND taken.status <> 'deferred'
    LEFT JOIN LATERAL (
        SELECT CASE WHEN m.bad OR m.status = 'failed' THEN -1 ELSE 1 END AS reached
        FROM message m
        WHERE m.contact_id = :contact AND m.channel = o.channel
            AND (m.address_hash IS NULL OR m.address_hash = o.hash)
            AND (m.bad OR m.delivery = 'delivered'
                OR m.status = 'failed' AND m.reason NOT LIKE 'template:%'
                OR EXISTS (SELECT FROM touch t WHERE t.message_id = m.id AND t.by = 'human'))
        ORDER BY m.id DESC LIMIT 1
    ) last ON true
    ORDER BY
        (:best AND EXISTS (
            SELECT FROM consent c WHERE c.contact_id = :contact AND c.channel = o.channel
                AND c.topic IN (o.topic, '') AND c.status = 'granted'
        )) DESC,
        CASE WHEN :best THEN coalesce(last.reached, 0) ELSE 0 END DESC,
        o.ord
""")
