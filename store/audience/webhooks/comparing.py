"""Go through all contacts of a webhook, chunk by chunk: for a full send, after a new version, or to remove it.

A chunk is one transaction, and its position is stored with it. A version that goes live changes members without a
change of any contact: what the webhook was told is then compared with the members of the new version.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.webhooks.outgoing import FINGERPRINT, KEEP_NEWEST
from store.engine.sql import any_of

CHUNK = 1_000


async def step(tx: AsyncConnection, now: datetime) -> bool:
    """Do one chunk. False if there is nothing to do, others do it, or older transactions have to end first."""
    row = (await tx.execute(_NEXT)).first()
    if row is None:
        return False
    if not row.fence:
        # A transaction that knew nothing of this webhook or version yet may still change members without queueing it.
        await tx.execute(_FENCE, {"id": row.id})
    elif row.comparing == "removal":
        if (await tx.execute(_CLEAR, {"id": row.id, "limit": CHUNK})).rowcount < CHUNK:
            await tx.execute(_DELETE, {"id": row.id})
    else:
        await _compare(tx, row, now)
    return True


async def _compare(tx: AsyncConnection, row: Any, now: datetime) -> None:
    asked = {"id": row.id, "segment": row.segment, "after": row.position, "limit": CHUNK}
    ids = list((await tx.execute(_CONTACTS, asked)).scalars())
    await tx.execute(_HOLD, {"ids": sorted(ids)})
    await tx.execute(_MARK, asked | {"ids": ids, "all": row.comparing == "all", "now": now})
    done = len(ids) < CHUNK
    await tx.execute(_MOVED, {"id": row.id, "position": "" if done else ids[-1], "done": done})


# Before its segment has members that count, a webhook waits.
_NEXT = text("""
    SELECT w.id, w.segment, w.comparing, w.fence, w.position
    FROM segment_webhook w JOIN segment s ON s.name = w.segment
    WHERE w.comparing <> '' AND (w.comparing = 'removal' OR s.live IS NOT NULL)
        AND (w.fence = 0 OR w.fence < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint))
    ORDER BY w.id LIMIT 1 FOR UPDATE OF w SKIP LOCKED
""")
_FENCE = text("""
    UPDATE segment_webhook SET fence = CAST(CAST(pg_current_xact_id() AS text) AS bigint),
        from_seq = CASE WHEN comparing = 'all' AND from_seq = 0 THEN nextval('segment_webhook_seq') ELSE from_seq END
    WHERE id = :id
""")
_CONTACTS = text("""
    SELECT contact_id FROM (
        (
            SELECT contact_id FROM membership
            WHERE segment = :segment AND version = (SELECT live FROM segment WHERE name = :segment) AND member
                AND contact_id COLLATE "C" > :after
            ORDER BY contact_id COLLATE "C" LIMIT :limit
        ) UNION (
            SELECT contact_id FROM segment_webhook_contact
            WHERE webhook = :id AND contact_id COLLATE "C" > :after
            ORDER BY contact_id COLLATE "C" LIMIT :limit
        )
    ) either
    ORDER BY contact_id COLLATE "C" LIMIT :limit
""")
_HOLD = text(f"SELECT id FROM contact WHERE id = {any_of('ids')} ORDER BY id FOR NO KEY UPDATE")
_MARK = text(f"""
    INSERT INTO segment_webhook_contact AS k (
        contact_id, webhook, member, since, seq, queued_at, waiting, fingerprint
    )
    SELECT i.id, :id, coalesce(m.member, false), coalesce(m.since, CAST(:now AS timestamptz)),
        nextval('segment_webhook_seq'), CAST(:now AS timestamptz), true,
        CASE WHEN m.member THEN coalesce({FINGERPRINT}, '') ELSE '' END
    FROM unnest((SELECT CAST(:ids AS text[]))) i(id) JOIN segment_webhook w ON w.id = :id
    LEFT JOIN contact c ON c.id = i.id
    LEFT JOIN membership m ON m.contact_id = i.id AND m.segment = :segment
        AND m.version = (SELECT live FROM segment WHERE name = :segment)
    LEFT JOIN segment_webhook_contact o ON o.contact_id = i.id AND o.webhook = :id
    WHERE coalesce(o.member, false) <> coalesce(m.member, false) OR (:all AND coalesce(m.member, false))
    ORDER BY i.id
    {KEEP_NEWEST}
""")
_MOVED = text("""
    UPDATE segment_webhook SET position = :position,
        fence = CASE WHEN :done THEN 0 ELSE fence END,
        until_seq = CASE WHEN :done AND comparing = 'all' THEN nextval('segment_webhook_seq') ELSE until_seq END,
        comparing = CASE WHEN :done THEN '' ELSE comparing END
    WHERE id = :id
""")
_CLEAR = text("""
    DELETE FROM segment_webhook_contact WHERE (contact_id, webhook) IN (
        SELECT contact_id, webhook FROM segment_webhook_contact WHERE webhook = :id LIMIT :limit
    )
""")
_DELETE = text("DELETE FROM segment_webhook WHERE id = :id")
VERSION_LIVE = """
    UPDATE segment_webhook SET comparing = CASE WHEN comparing = '' THEN 'differences' ELSE comparing END,
        fence = 0, position = '' WHERE segment = :segment AND comparing <> 'removal'
"""
"""To be run in the transaction in which another version of the segment goes live."""
