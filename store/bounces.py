"""Which bounces keep an address from being written to: at once, after many, or never. One table.

The kinds are those of https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types and
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html#event-publishing-retrieving-sns-contents-bounce-types

A transient bounce suppresses nothing: by then SES has tried for hours, and the next message may well arrive. An
address that bounces `MANY` times in a row over at least `SPAN`, with nothing delivered in between, is given up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import suppressions
from store.addresses import address_hash
from store.messages import Message
from store.sql import any_of

Effect = Literal["suppress", "count", "nothing"]

TABLE: dict[tuple[str, str], Effect] = {
    ("permanent", "general"): "suppress",
    ("permanent", "noemail"): "suppress",
    ("permanent", "suppressed"): "suppress",  # bounced for others of SES's customers lately
    ("permanent", "onaccountsuppressionlist"): "suppress",  # SES did not try: it would not the next time either
    ("undetermined", "undetermined"): "count",
    ("transient", "general"): "count",
    ("transient", "mailboxfull"): "count",
    # these speak of the message, or of a limit that the sender set, and not of the mailbox
    ("transient", "messagetoolarge"): "nothing",
    ("transient", "contentrejected"): "nothing",
    ("transient", "attachmentrejected"): "nothing",
    ("transient", "customtimeoutexceeded"): "nothing",
}
WITHHELD = "onaccountsuppressionlist"
"""The sub-type of bounces and complaints that SES makes up for addresses on the account's own suppression list: the
message never left, and SES does not count it in its rates."""
MANY = 5
"""Messages in a row that came back."""
SPAN = timedelta(days=14)
"""Between the first of them and the last: a mail server that is down for a week costs nobody their place."""


def effect(kind: str, sub_type: str) -> Effect:
    """What follows from a bounce of this type and sub-type, both in lower case. A new sub-type goes by its type."""
    return TABLE.get((kind, sub_type), "suppress" if kind == "permanent" else "nothing")


def reason(kind: str, sub_type: str) -> str:
    """How the ledger says it."""
    return f"bounce-{kind}-{sub_type}" if sub_type else f"bounce-{kind}"


async def suppress_if_many(tx: AsyncConnection, message: Message, address: str) -> bool:
    """Suppress the address (`bounced`) if this bounce, already in the ledger, makes it too many in a row.

    Messages are known by the address they went to, those without its hash by their contact.
    """
    values = {"hash": address_hash("email", address), "contact": message.contact_id, "counted": _COUNTED}
    row = (await tx.execute(_STREAK, values)).one()
    if row.bounces < MANY or row.span < SPAN:
        return False
    return await suppressions.add(tx, "email", address, "bounced")


_COUNTED = [reason(*key) for key, follows in TABLE.items() if follows == "count"]
_STREAK = text(f"""
    WITH fate AS (
        SELECT claimed_at, delivery, delivery_reason FROM message
        WHERE channel = 'email' AND address_hash = :hash AND delivery IN ('delivered', 'bounced')
        UNION ALL
        SELECT claimed_at, delivery, delivery_reason FROM message
        WHERE channel = 'email' AND address_hash IS NULL AND contact_id = :contact
            AND delivery IN ('delivered', 'bounced')
    )
    SELECT count(*) AS bounces, coalesce(max(claimed_at) - min(claimed_at), interval '0') AS span FROM fate
    WHERE delivery = 'bounced' AND delivery_reason = {any_of("counted")}
        AND claimed_at > coalesce((SELECT max(claimed_at) FROM fate WHERE delivery = 'delivered'), '-infinity')
""")
