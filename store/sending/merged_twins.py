"""A step's message that the other contact's run of the same track was just sending when the two contacts were merged.

The merge lets the run that goes on wait. Once it is known what became of the other message, this one is skipped or
sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.schema.merge_reasons import SENT_ALREADY, UNDER_WAY
from store.schema.rows import Enrollment
from store.sending.messages.messages import Message
from store.sending.policy.send_policy import SendDecision

LOOK_AGAIN = timedelta(minutes=1)
"""After this time it is looked again what became of the other message (real time)."""
PATIENCE = timedelta(hours=1)
"""When it is not known for so long after it was claimed, it counts as sent (real time)."""


async def decision(
    tx: AsyncConnection, message: Message | None, enrollment: Enrollment, now: datetime
) -> SendDecision | None:
    """What becomes of a message that waits for the other contact's; None if nothing of it stands in the way."""
    if message is None or message.status != "deferred" or message.reason != UNDER_WAY:
        return None
    asked = {"id": enrollment.id, "key": message.effect_key}
    found = {row.status: row.claimed_at for row in await tx.execute(_TWINS, asked)}
    unknown = [found[status] for status in ("sending", "unknown") if status in found]
    if "sent" not in found and not unknown:
        return None
    if "sent" in found or max(unknown) + PATIENCE <= now:
        return SendDecision("skip", SENT_ALREADY)
    return SendDecision("defer", UNDER_WAY, now + LOOK_AGAIN)


_TWINS = text("""
    SELECT m.status, max(m.claimed_at) AS claimed_at
    FROM enrollment l JOIN enrollment o ON o.contact_id = l.contact_id AND o.track = l.track AND o.key = l.key
        AND o.id <> l.id
    JOIN message m ON m.enrollment_id = o.id AND substr(m.effect_key, 37) = substr(CAST(:key AS text), 37)
    WHERE l.id = :id AND m.status IN ('sending', 'sent', 'unknown') GROUP BY m.status
""")
