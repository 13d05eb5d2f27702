"""Which bounces suppress an address: at once, after several in a row, or never. One table.

The kinds are those of https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types and
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html#event-publishing-retrieving-sns-contents-bounce-types

A transient bounce suppresses nothing: SES has tried for hours by then, and the next message may well arrive. An address
is suppressed if it bounces `MANY` times in a row over at least `SPAN`, with nothing delivered in between.

If SES calls a bounce transient although the mail server refused the address permanently, it is permanent (`judged`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.people.consents import suppressions
from store.sending.messages.messages import Message

Effect = Literal["suppress", "count", "nothing"]

TABLE: dict[tuple[str, str], Effect] = {
    ("permanent", "general"): "suppress",
    ("permanent", "noemail"): "suppress",
    ("permanent", "suppressed"): "suppress",  # bounced recently for other customers of SES
    ("permanent", "onaccountsuppressionlist"): "suppress",  # SES did not try, and would not try the next time either
    ("undetermined", "undetermined"): "count",
    ("transient", "general"): "count",
    ("transient", "mailboxfull"): "count",
    # these are about the message, or about a limit of the sender, and not about the mailbox
    ("transient", "messagetoolarge"): "nothing",
    ("transient", "contentrejected"): "nothing",
    ("transient", "attachmentrejected"): "nothing",
    ("transient", "customtimeoutexceeded"): "nothing",
}
WITHHELD = "onaccountsuppressionlist"
"""The sub-type of bounces and complaints that SES creates for addresses on the account's own suppression list. Such a
message was never sent, and SES does not count it in its rates."""
MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})
"""Status codes for a mailbox or a domain that does not exist (https://www.rfc-editor.org/rfc/rfc3463#section-3).

Codes for a full mailbox, the message, the sender, or the server's own rules (5.2.2, 5.3.4, 5.6.x, 5.7.x, …) are not
here: they do not tell whether the next message will arrive."""
UNCLEAR = frozenset({"", "5.0.0", "5.1.0", "5.3.0", "5.4.1", "5.5.0"})
"""Ambiguous status codes: the reply code decides."""
REFUSED = frozenset({"550", "551", "553"})
"""Reply codes for a mailbox that does not exist (https://www.rfc-editor.org/rfc/rfc5321#section-4.2.3)."""
_VAGUE = frozenset({"general", "undetermined", ""})
"""Sub-types with which SES says no more than the server's answer does."""
MANY = 5
"""The number of bounces in a row."""
SPAN = timedelta(days=14)
"""The least time between the first and the last of them. A mail server that is down for a week suppresses nobody."""


def effect(kind: str, sub_type: str) -> Effect:
    """The effect of a bounce with this type and sub-type (lower case). An unknown sub-type is treated by its type."""
    return TABLE.get((kind, sub_type), "suppress" if kind == "permanent" else "nothing")


def reason(kind: str, sub_type: str) -> str:
    """The reason in the ledger."""
    return f"bounce-{kind}-{sub_type}" if sub_type else f"bounce-{kind}"


def is_soft(delivery_reason: str) -> bool:
    """Whether the ledger's reason is a bounce that is not permanent."""
    return delivery_reason.startswith(_SOFT)


def judged(kind: str, sub_type: str, status: str, diagnostic: str) -> tuple[str, str]:
    """The type and sub-type of a bounce, corrected by the recipient's server's answer if SES passes it on.

    `status` is an enhanced status code, `diagnostic` the server's answer (`smtp; 550 5.1.1 …`). If the server has
    refused the address permanently, the type is `permanent` and the sub-type is the code.
    """
    if kind == "permanent" or sub_type not in _VAGUE:
        return kind, sub_type
    said = _ANSWER.match(diagnostic)
    reply, code = (said["reply"] or "", said["code"] or "") if said else ("", "")
    if _STATUS.fullmatch(status) and (not code or status not in UNCLEAR):
        code = status
    if code in MAILBOX or (code in UNCLEAR and reply in REFUSED):
        return "permanent", code or reply
    return kind, sub_type


async def suppress_if_many(tx: AsyncConnection, message: Message, address_hash: str) -> bool:
    """Suppress the address (`bounced`) if this bounce, already in the ledger, is one too many in a row.

    Messages are found by the hash of their address; those without a hash are found by their contact.
    """
    values = {"hash": address_hash, "contact": message.contact_id, "counted": _COUNTED}
    row = (await tx.execute(_STREAK, values)).one()
    if row.bounces < MANY or row.span < SPAN:
        return False
    return await suppressions.add_hashed(tx, [("email", address_hash)], "bounced") > 0


_SOFT = (reason("transient", ""), reason("undetermined", ""))
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ANSWER = re.compile(r"(?:smtp;)?\s*(?:(?P<reply>\d{3})\b[\s#-]*)?(?P<code>[245]\.\d{1,3}\.\d{1,3})?", re.IGNORECASE)


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
