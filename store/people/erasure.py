"""Erase a person: delete all personal data, keep counts, and tell the person's live runs to end.

A contact into which others were merged is erased with all of them, whichever of the ids is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.webhooks import outgoing
from store.engine.errors import BusyError
from store.engine.sql import as_json, utc_now
from store.people.consents import reachability, suppressions
from store.people.hubspot import objects, own_writes
from store.people.merging import former_addresses, merge_records
from store.people.stripe import applying, customers
from store.runs.imports import import_erasure
from store.schema import merged_ids


@dataclass(frozen=True, slots=True)
class Erased:
    """The result of erasing: whether the contact existed, and how many live runs were told to end.

    `merged_into` is the contact that was erased, where the named id had been merged into that contact.
    """

    existed: bool
    ended: int
    merged_into: str | None = None


async def erase(tx: AsyncConnection, contact_id: str, *, now: datetime | None = None) -> Erased:
    """Delete all personal data of a contact and tell the contact's live runs to end; counts stay.

    A repeated call is harmless. Only hashes of the contact's addresses are kept: they are suppressed as `erased`, or
    keep a harsher reason. A new explicit consent to a channel, or an operator, ends such a suppression.
    """
    now = now or utc_now()
    named, contact_id = contact_id, await _lock(tx, contact_id)
    ids = [contact_id, *(await tx.execute(_MERGED, {"id": contact_id})).scalars()]
    hashes = await former_addresses.take_all(tx, contact_id)
    addresses = {(row.channel, row.address) for row in await tx.execute(_FORMER, {"id": contact_id})}
    concerned = await reachability.hold(tx, contact_ids=[contact_id])
    gone = (await tx.execute(_ERASE, {"id": contact_id, "ids": ids, "now": now})).first()
    ended = await tx.execute(_END_RUNS, {"id": contact_id, "now": now, "payload": as_json({"reason": "erased"})})
    await tx.execute(_FORGET, {"id": contact_id})
    for one in ids:
        await outgoing.forget(tx, one, now)
        await import_erasure.redact(tx, one)
        await applying.erase(tx, one, gone.email if gone else None)
        await own_writes.erase(tx, one, gone.email if gone else None)
    await merge_records.forget_person(tx, ids)
    if gone is not None:
        addresses |= {("email", gone.email), ("sms", gone.phone)}
        await suppressions.add_many(tx, [(channel, it) for channel, it in addresses if it], "erased", now)
        await suppressions.add_hashed(tx, hashes, "erased", now)
    await reachability.tell(tx, [one for one in concerned if one != contact_id], now=now)
    return Erased(
        existed=gone is not None, ended=ended.rowcount, merged_into=contact_id if contact_id != named else None
    )


async def _lock(tx: AsyncConnection, contact_id: str) -> str:
    """The contact that the id stands for, with the contact and its customers locked; nobody can merge it then."""
    for _ in range(_TRIES):
        survivor = await merged_ids.current(tx, contact_id)
        await customers.hold_of_contact(tx, survivor)
        await objects.hold_of_contact(tx, survivor)
        await tx.execute(_HOLD, {"id": survivor})
        if await merged_ids.current(tx, contact_id) == survivor:
            return survivor
    raise BusyError("the contact kept being merged")


_TRIES = 5
_HOLD = text("SELECT FROM contact WHERE id = :id FOR UPDATE")
_MERGED = text("SELECT id FROM merged_id WHERE contact_id = :id ORDER BY id")
# The addresses that the person had under merged ids, as far as they are still known.
_FORMER = text("""
    SELECT a.channel, a.address FROM merged_id g JOIN contact_merge m ON m.merged_id = g.id
    CROSS JOIN LATERAL (
        VALUES ('email', m.former -> 'contact' ->> 'email'), ('sms', m.former -> 'contact' ->> 'phone')
    ) AS a (channel, address)
    WHERE g.contact_id = :id AND a.address IS NOT NULL
""")
# An unknown contact may still wait in an import's rows, so this erasure has to be recorded too.
_ERASE = text("""
    WITH gone AS (DELETE FROM contact WHERE id = :id RETURNING id, email, phone),
    stone AS (
        INSERT INTO erasure (contact_id, erased_at)
        SELECT i.id, :now
        FROM unnest((SELECT CAST(:ids AS text[]))) AS i (id)
        WHERE EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM import_job WHERE ended_at IS NULL)
        ON CONFLICT (contact_id) DO UPDATE SET erased_at = greatest(erasure.erased_at, excluded.erased_at)
    ),
    segments AS (DELETE FROM membership WHERE contact_id = :id),
    scores AS (DELETE FROM score_value WHERE contact_id = :id),
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
    future AS (DELETE FROM future_event WHERE contact_id = :id RETURNING event_id),
    counted_future AS (
        INSERT INTO dropped (reason, kind, count) SELECT 'erased', 'event', count(*) FROM future HAVING count(*) > 0
    ),
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
    leads AS (DELETE FROM handoff WHERE contact_id = :id),
    proof AS (DELETE FROM consent_change WHERE contact_id = :id)
    UPDATE message SET address_hash = NULL WHERE contact_id = :id AND address_hash IS NOT NULL
""")
