"""Queue the changes of a segment for its webhooks, in the transaction that changes the members.

Of each contact and webhook only the newest state is kept. A number (`seq`) grows with each change of a contact: the
contact is locked by each transaction that queues one, so that the order of the numbers is that of the changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import many


class Outgoing(NamedTuple):
    """Whether a contact is a member now, and since when."""

    contact_id: str
    segment: str
    member: bool
    since: datetime


def queue(tx: AsyncConnection, changes: Sequence[Outgoing], now: datetime) -> None:
    """Queue these changes for the webhooks of their segments, together with the next statement of the transaction.

    The contacts have to be locked. Who leaves before a webhook was told of them is not made known to it.
    """
    if changes:
        ordered = sorted(changes)
        given = {name: [getattr(one, name) for one in ordered] for name in Outgoing._fields}
        later(tx, _QUEUE, given | {"now": now})


async def forget(tx: AsyncConnection, contact_id: str, now: datetime) -> None:
    """A contact is erased: delete what waits. A webhook that was told of them is told that they are gone, by their id
    alone."""
    await tx.execute(_FORGET, {"contact_id": contact_id, "now": now})


KEEP_NEWEST = """
    ON CONFLICT (contact_id, webhook) DO UPDATE SET
        member = excluded.member, since = excluded.since, seq = excluded.seq, waiting = true, erased = false,
        queued_at = CASE WHEN k.waiting THEN k.queued_at ELSE excluded.queued_at END
"""
"""A contact that changes often keeps its place in time, so that it does not wait for ever."""
_CHANGES = many("i", contact_id="text", segment="text", member="bool", since="timestamptz")
_QUEUE = text(f"""
    INSERT INTO segment_webhook_contact AS k (contact_id, webhook, member, since, seq, queued_at, waiting)
    SELECT i.contact_id, w.id, i.member, i.since, nextval('segment_webhook_seq'), CAST(:now AS timestamptz), true
    FROM {_CHANGES} JOIN segment_webhook w ON w.segment = i.segment AND w.comparing <> 'removal'
    WHERE i.member OR EXISTS (
        SELECT FROM segment_webhook_contact o WHERE o.contact_id = i.contact_id AND o.webhook = w.id
    )
    ORDER BY i.ord, w.id
    {KEEP_NEWEST}
""")
_FORGET = text("""
    WITH unknown AS (DELETE FROM segment_webhook_contact WHERE contact_id = :contact_id AND NOT tried)
    UPDATE segment_webhook_contact SET member = false, erased = true, since = :now, waiting = true,
        seq = nextval('segment_webhook_seq'), queued_at = CASE WHEN waiting THEN queued_at ELSE :now END
    WHERE contact_id = :contact_id AND tried AND NOT erased
""")
