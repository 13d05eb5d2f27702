"""Erase a person: delete all personal data, keep counts, and tell the person's live runs to end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.webhooks import outgoing
from store.engine.sql import as_json, utc_now
from store.people import suppressions
from store.people.stripe import applying, customers
from store.runs.imports import import_erasure
from store.schema.rows import Channel


@dataclass(frozen=True, slots=True)
class Erased:
    """The result of erasing: whether the contact existed, and how many live runs were told to end."""

    existed: bool
    ended: int


async def erase(tx: AsyncConnection, contact_id: str, *, now: datetime | None = None) -> Erased:
    """Delete all personal data of a contact and tell the contact's live runs to end; counts stay.

    A repeated call is harmless. Only hashes of the contact's addresses are kept: they are suppressed as `erased`, or
    keep a harsher reason. A new explicit consent to a channel, or an operator, ends such a suppression.
    """
    now = now or utc_now()
    await customers.hold_of_contact(tx, contact_id)
    gone = (await tx.execute(_ERASE, {"id": contact_id, "now": now})).first()
    ended = await tx.execute(_END_RUNS, {"id": contact_id, "now": now, "payload": as_json({"reason": "erased"})})
    await tx.execute(_FORGET, {"id": contact_id})
    await outgoing.forget(tx, contact_id, now)
    await import_erasure.redact(tx, contact_id)
    await applying.erase(tx, contact_id, gone.email if gone else None)
    if gone is not None:
        addresses: list[tuple[Channel, str | None]] = [("email", gone.email), ("sms", gone.phone)]
        await suppressions.add_many(tx, [(channel, it) for channel, it in addresses if it], "erased", now)
    return Erased(existed=gone is not None, ended=ended.rowcount)


# An unknown contact may still wait in an import's rows, so this erasure has to be recorded too.
_ERASE = text("""
    WITH gone AS (DELETE FROM contact WHERE id = :id RETURNING id, email, phone),
    stone AS (
        INSERT INTO erasure (contact_id, erased_at)
        SELECT :id, :now
        WHERE EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM import_job WHERE ended_at IS NULL)
        ON CONFLICT (contact_id) DO UPDATE SET erased_at = greatest(erasure.erased_at, excluded.erased_at)
    ),
    segments AS (DELETE FROM membership WHERE contact_id = :id),
    card AS (DELETE FROM crm_contact WHERE contact_id = :id),
    notes AS (DELETE FROM crm_note WHERE contact_id = :id),
    tasks AS (DELETE FROM crm_task WHERE contact_id = :id)
    SELECT email, phone FROM gone
""")
# A separate statement: its snapshot is taken when we hold the contact's row, so it sees every event and enrollment of
# the transactions that held the row before.
_END_RUNS = text("""
    WITH links AS (DELETE FROM message_links WHERE message_id IN (SELECT id FROM message WHERE contact_id = :id)),
    texts AS (
        UPDATE message_content SET rendering = NULL, kept_until = NULL, subject_digest = NULL
        WHERE message_id IN (SELECT id FROM message WHERE contact_id = :id)
            AND (rendering IS NOT NULL OR subject_digest IS NOT NULL)
    ),
    refused AS (
        DELETE FROM refused_delivery WHERE enrollment_id IN (SELECT id FROM enrollment WHERE contact_id = :id)
    ),
    events AS (UPDATE event SET properties = '{}' WHERE contact_id = :id AND properties <> '{}'),
    waiting AS (
        UPDATE outbox SET payload = '{}', delivered_at = :now, dropped_reason = 'erased'
        WHERE kind IN ('event', 'attributes') AND delivered_at IS NULL
            AND enrollment_id IN (SELECT id FROM enrollment WHERE contact_id = :id)
        RETURNING id
    ),
    counted AS (
        INSERT INTO dropped (reason, kind, count)
        SELECT 'erased', 'outbox', count(*) FROM waiting HAVING count(*) > 0
    ),
    runs AS (
        UPDATE enrollment SET properties = '{}',
            exit_reached_at = CASE WHEN ended_at IS NULL THEN coalesce(exit_reached_at, :now) ELSE exit_reached_at END
        WHERE contact_id = :id AND (properties <> '{}' OR ended_at IS NULL)
        RETURNING id, ended_at
    )
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at)
    SELECT id, 'end', CAST(:payload AS jsonb), :now, :now FROM runs WHERE ended_at IS NULL ORDER BY id
""")
_FORGET = text("""
    WITH consents AS (DELETE FROM consent WHERE contact_id = :id),
    proof AS (DELETE FROM consent_change WHERE contact_id = :id)
    UPDATE message SET address_hash = NULL WHERE contact_id = :id AND address_hash IS NOT NULL
""")
