"""Queue the changes of a segment for its webhooks, in the transaction that changes the members.

A webhook may also be told of members whose fields changed: what it was told of is known by a hash of these fields.

Of each contact and webhook only the newest state is kept. A number (`seq`) grows with each change of a contact: the
contact is locked by each transaction that queues one, so that the order of the numbers is that of the changes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import any_of, many


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


def queue_changed(tx: AsyncConnection, contact_ids: Collection[str], now: datetime) -> None:
    """Queue those of these members of whom a field has changed that a webhook wants to be told of, as `queue` does.

    The contacts have to be locked, and written before.
    """
    if contact_ids:
        later(tx, _CHANGED, {"ids": sorted(contact_ids), "now": now})


async def forget(tx: AsyncConnection, contact_id: str, now: datetime) -> None:
    """A contact is erased: delete what waits. A webhook that was told of them is told that they are gone, by their id
    alone."""
    await tx.execute(_FORGET, {"contact_id": contact_id, "now": now})


KEEP_NEWEST = """
    ON CONFLICT (contact_id, webhook) DO UPDATE SET
        member = excluded.member, since = excluded.since, seq = excluded.seq, waiting = true, erased = false,
        changed = false, fingerprint = excluded.fingerprint,
        queued_at = CASE WHEN k.waiting THEN k.queued_at ELSE excluded.queued_at END
"""
"""A contact that changes often keeps its place in time, so that it does not wait for ever."""
FINGERPRINT = """(
    SELECT encode(sha256(convert_to(jsonb_agg(CASE f.name
        WHEN 'email' THEN to_jsonb(c.email) WHEN 'email_sha256' THEN to_jsonb(lower(btrim(c.email)))
        WHEN 'phone' THEN to_jsonb(c.phone) WHEN 'phone_sha256' THEN to_jsonb(btrim(c.phone))
        WHEN 'timezone' THEN to_jsonb(c.timezone) WHEN 'locale' THEN to_jsonb(c.locale)
        ELSE c.attributes -> substr(f.name, length('attributes.') + 1)
    END ORDER BY f.place)::text, 'UTF8')), 'hex')
    FROM unnest(w.changes) WITH ORDINALITY AS f (name, place)
)"""
"""A hash of the fields of the contact `c` whose changes the webhook `w` is told of; null where there are none."""
_CHANGES = many("i", contact_id="text", segment="text", member="bool", since="timestamptz")
_QUEUE = text(f"""
    INSERT INTO segment_webhook_contact AS k (
        contact_id, webhook, member, since, seq, queued_at, waiting, fingerprint
    )
    SELECT i.contact_id, w.id, i.member, i.since, nextval('segment_webhook_seq'), CAST(:now AS timestamptz), true,
        CASE WHEN i.member THEN coalesce({FINGERPRINT}, '') ELSE '' END
    FROM {_CHANGES} JOIN segment_webhook w ON w.segment = i.segment AND w.comparing <> 'removal'
    LEFT JOIN contact c ON c.id = i.contact_id
    WHERE i.member OR EXISTS (
        SELECT FROM segment_webhook_contact o WHERE o.contact_id = i.contact_id AND o.webhook = w.id
    )
    ORDER BY i.ord, w.id
    {KEEP_NEWEST}
""")
_CHANGED = text(f"""
    WITH now_is AS (
        SELECT k.contact_id, k.webhook, {FINGERPRINT} AS fingerprint
        FROM segment_webhook w
        JOIN segment_webhook_contact k ON k.webhook = w.id AND k.contact_id = {any_of("ids")}
        JOIN contact c ON c.id = k.contact_id
        WHERE w.changes <> '{{}}' AND w.comparing <> 'removal' AND k.member
    )
    UPDATE segment_webhook_contact k SET fingerprint = n.fingerprint, seq = nextval('segment_webhook_seq'),
        changed = k.changed OR NOT k.waiting, waiting = true,
        queued_at = CASE WHEN k.waiting THEN k.queued_at ELSE CAST(:now AS timestamptz) END
    FROM now_is n
    WHERE k.contact_id = n.contact_id AND k.webhook = n.webhook AND k.fingerprint <> n.fingerprint
""")
_FORGET = text("""
    WITH unknown AS (DELETE FROM segment_webhook_contact WHERE contact_id = :contact_id AND NOT tried)
    UPDATE segment_webhook_contact SET member = false, erased = true, since = :now, waiting = true,
        changed = false, fingerprint = '',
        seq = nextval('segment_webhook_seq'), queued_at = CASE WHEN waiting THEN queued_at ELSE :now END
    WHERE contact_id = :contact_id AND tried AND NOT erased
""")
