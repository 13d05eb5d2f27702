"""Take batches of what waits for a webhook, and settle them. One process at a time calls a webhook.

What a process took is delivered again by another one if the lease ends without an answer: at least once. Two processes
never wait for the rows of contacts that a third one changes: such rows are left for the next batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import many
from store.schema.rows import Contact

LEASE = timedelta(minutes=1)
"""How long a process has for one call."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a webhook is to be told of one contact. The contact is None after its erasure."""

    contact_id: str
    member: bool
    since: datetime
    seq: int
    erased: bool
    changed: bool
    """They were a member before; a field has changed."""
    contact: Contact | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to send to a webhook in one call: changes, or that a full send is complete (`complete_from`)."""

    webhook: int
    segment: str
    name: str
    url: str
    secret: str
    fields: Sequence[str]
    changes: Sequence[Waiting]
    complete_from: int | None
    """Nobody whose number is smaller is a member."""
    failures: int
    failing_since: datetime | None
    lease: datetime


async def claim(tx: AsyncConnection, now: datetime) -> Batch | None:
    """Take the next batch of any webhook that may be called now. None if there is none, or others are at it.

    A batch is due when it is full or when the first of its changes has waited long enough.
    """
    row = (await tx.execute(_NEXT, {"now": now})).first()
    if row is None:
        return None
    complete = row.until_seq > 0 and row.comparing == "" and (row.first is None or row.first > row.until_seq)
    asked = {"id": row.id, "limit": row.batch, "attributes": any(name.startswith("attributes.") for name in row.fields)}
    changes = [] if complete else [_waiting(one) for one in await tx.execute(_TAKE, asked)]
    if not changes and not complete:
        return None
    lease = now + LEASE
    await tx.execute(_LEASE, {"id": row.id, "until": lease})
    return Batch(
        row.id,
        row.segment,
        row.name,
        row.url,
        row.secret,
        row.fields,
        changes,
        row.from_seq if complete else None,
        row.failures,
        row.failing_since,
        lease,
    )


async def settle(tx: AsyncConnection, batch: Batch, now: datetime) -> None:
    """The webhook has accepted the batch. A contact that changed meanwhile waits on."""
    values = {"id": batch.webhook, "lease": batch.lease, "now": now, "delivered": len(batch.changes)}
    await tx.execute(_SETTLE, values | {"complete": batch.complete_from or 0})
    if batch.changes:
        given = {
            "contact_id": [one.contact_id for one in batch.changes],
            "seq": [one.seq for one in batch.changes],
        }
        await tx.execute(_DELIVERED, given | {"id": batch.webhook})


async def fail(
    tx: AsyncConnection, batch: Batch, now: datetime, *, error: str, again_at: datetime, pause: str = ""
) -> bool:
    """The webhook has not accepted the batch: try again then, or not until somebody resumes it (`pause`, the reason).

    False if another process has taken over meanwhile.
    """
    values = {"id": batch.webhook, "lease": batch.lease, "now": now, "error": error, "again_at": again_at}
    return (await tx.execute(_FAIL, values | {"pause": pause})).rowcount > 0


def _waiting(row: Any) -> Waiting:
    contact = (
        Contact(row.contact_id, row.email, row.phone, row.timezone, row.locale, row.attributes) if row.exists else None
    )
    return Waiting(row.contact_id, row.member, row.since, row.seq, row.erased, row.changed, contact)


_NEXT = text("""
    SELECT w.*, f.first
    FROM segment_webhook w CROSS JOIN LATERAL (
        SELECT count(*) AS ready, min(queued_at) AS oldest, min(seq) AS first
        FROM (
            SELECT queued_at, seq FROM segment_webhook_contact
            WHERE webhook = w.id AND waiting ORDER BY seq LIMIT w.batch
        ) one
    ) f
    WHERE w.paused = '' AND w.comparing <> 'removal' AND w.next_attempt_at <= :now
        AND (w.leased_until IS NULL OR w.leased_until < :now)
        AND (
            f.ready >= w.batch OR f.oldest <= CAST(:now AS timestamptz) - make_interval(secs => w.wait)
            OR (w.until_seq > 0 AND w.comparing = '')
        )
    ORDER BY w.next_attempt_at LIMIT 1 FOR UPDATE OF w SKIP LOCKED
""")
_TAKE = text("""
    WITH first AS (
        SELECT contact_id, member, since, seq, erased, changed, tried FROM segment_webhook_contact
        WHERE webhook = :id AND waiting ORDER BY seq LIMIT :limit FOR UPDATE SKIP LOCKED
    ),
    unknown AS (
        DELETE FROM segment_webhook_contact k USING first f
        WHERE k.contact_id = f.contact_id AND k.webhook = :id AND NOT f.member AND NOT f.tried
    ),
    marked AS (
        UPDATE segment_webhook_contact k SET tried = true FROM first f
        WHERE k.contact_id = f.contact_id AND k.webhook = :id AND f.member AND NOT f.tried
    )
    SELECT f.contact_id, f.member, f.since, f.seq, f.erased, f.changed, c.id IS NOT NULL AS exists, c.email, c.phone,
        c.timezone, c.locale, CASE WHEN :attributes THEN c.attributes END AS attributes
    FROM first f LEFT JOIN contact c ON c.id = f.contact_id
    WHERE f.member OR f.tried ORDER BY f.seq
""")
_LEASE = text("UPDATE segment_webhook SET leased_until = :until WHERE id = :id")
_SETTLE = text("""
    UPDATE segment_webhook SET leased_until = NULL, failing_since = NULL, failures = 0, last_error = '',
        delivered_at = :now, delivered = delivered + :delivered, next_attempt_at = :now,
        until_seq = CASE WHEN from_seq = :complete THEN 0 ELSE until_seq END,
        from_seq = CASE WHEN from_seq = :complete THEN 0 ELSE from_seq END
    WHERE id = :id AND leased_until = :lease
""")
_DELIVERED = text(f"""
    WITH done AS (
        SELECT k.contact_id, k.member
        FROM segment_webhook_contact k JOIN {many("i", contact_id="text", seq="bigint")}
            ON k.contact_id = i.contact_id AND k.seq = i.seq
        WHERE k.webhook = :id FOR UPDATE OF k SKIP LOCKED
    ),
    gone AS (
        DELETE FROM segment_webhook_contact k USING done d
        WHERE k.contact_id = d.contact_id AND k.webhook = :id AND NOT d.member
    )
    UPDATE segment_webhook_contact k SET waiting = false FROM done d
    WHERE k.contact_id = d.contact_id AND k.webhook = :id AND d.member
""")
_FAIL = text("""
    UPDATE segment_webhook SET leased_until = NULL, failing_since = coalesce(failing_since, :now),
        failures = failures + 1, last_error = :error, next_attempt_at = :again_at,
        paused = CASE WHEN paused = '' THEN :pause ELSE paused END,
        paused_at = CASE WHEN paused = '' AND :pause <> '' THEN CAST(:now AS timestamptz) ELSE paused_at END
    WHERE id = :id AND leased_until = :lease
""")
