"""Whether a contact may be sent messages at all: address, suppression, consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.published import policies
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact
from tracks.policy.workspace_policy import OptIn, Policy

WHOLE_CHANNEL = ""
"""The topic of a consent to the whole channel."""
UNSUBSCRIBED = "unsubscribed"
_PASSED_BY_TRANSACTIONAL = frozenset({UNSUBSCRIBED})

CONSENTS = """(
    SELECT jsonb_object_agg(n.topic, n.status) FROM consent n
    WHERE n.contact_id = {contact} AND n.channel = {channel}
)"""
"""SQL for the argument `consents` of `refusal`."""


def refusal(
    policy: Policy,
    channel: Channel,
    *,
    topic: str,
    transactional: bool,
    address: str | None,
    suppressed: str | None,
    consents: Mapping[str, str],
    somebody_else: bool = False,
) -> str:
    """Why a message may not be sent to this contact; empty if it may.

    `suppressed` is the reason why the address is suppressed. `consents` maps a topic ('' is the whole channel) to
    `granted`, `pending` or `withdrawn`. A transactional message needs no consent and ignores an unsubscribe.
    A message to `somebody_else` needs no consent either, but they may have unsubscribed.
    """
    if not address:
        return "no address"
    passed = _PASSED_BY_TRANSACTIONAL if transactional and not somebody_else else ()
    if suppressed is not None and suppressed not in passed:
        return f"suppressed: {suppressed}"
    if transactional or somebody_else:
        return ""
    for about, word in ((WHOLE_CHANNEL, channel), (topic, topic)):
        if consents.get(about) == "withdrawn":
            return f"no consent: {word} withdrawn"
    if topic:
        if topic not in policy.topics:
            return f"no consent: topic {topic} is not in the policy"
        asked = policy.topics[topic].opt_in
        if asked != "implied":
            return _unless_granted(asked, topic, consents.get(topic))
    if policy.rules(channel).opt_in != "implied" and "granted" not in (
        consents.get(WHOLE_CHANNEL),
        consents.get(topic),
    ):
        return f"no consent: {channel} needs a yes"
    return ""


def _unless_granted(asked: OptIn, topic: str, status: str | None) -> str:
    if status == "granted":
        return ""
    return f"no consent: {topic} not confirmed" if status == "pending" else f"no consent: {topic} needs a yes"


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
