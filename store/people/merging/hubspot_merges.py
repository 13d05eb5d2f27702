"""Contacts that people merge in HubSpot become one contact here too, with the merge of the API: it can be undone.

What HubSpot says is kept first. It is carried out when both contacts are known here, at once or later: the contact of
what is left in HubSpot survives. A merge that was carried out is not repeated, so one that was undone here stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, utc_now
from store.people import contacts
from store.people.hubspot import applying, objects
from store.people.hubspot.applying import Applied
from store.people.hubspot.hubspot_change import Merge, Properties
from store.people.merging import merge as merging
from store.people.merging import merge_records
from store.people.outside_people import KEPT
from store.people.stripe import customers
from store.runs import drop_counts
from store.runs.drop_counts import Drop

BY = "hubspot"
"""Who merged, for the record."""
WAITING, MERGED, TOO_LARGE = "merge-waiting", "merged", "merge-too-large"
OWN = timedelta(days=1)
"""How long what is left waits for a contact of its own, if HubSpot has said who it is. Then it is the merged one's."""


async def note(tx: AsyncConnection, merge: Merge, properties: Properties, *, now: datetime | None = None) -> None:
    """Keep what HubSpot says of a merge. A repeated one changes nothing."""
    now = now or utc_now()
    await objects.learn(tx, merge.into, [], properties, now)
    await tx.execute(_FOLLOW, {"ids": list(merge.objects), "into": merge.into})
    await tx.execute(_NOTE, {"ids": sorted(merge.objects), "into": merge.into, "now": now})


async def due(tx: AsyncConnection, now: datetime, limit: int) -> Sequence[str]:
    """The merged contacts of HubSpot that can be seen to now."""
    return (await tx.execute(_DUE, {"before": now - OWN, "limit": limit})).scalars().all()


async def carry_out(
    tx: AsyncConnection, object_id: str, properties: Properties, *, now: datetime | None = None, pace: float = 1.0
) -> Applied:
    """Make one contact of the two that this merged contact of HubSpot and what it was merged into are here.

    Counts `merged` if two contacts became one, `merge-waiting` if not both are known yet, and `merge-too-large` if they
    stay two because the merged one has too many events. It has to be called before the transaction locks anything.
    """
    now, applied = now or utc_now(), Applied()
    await merge_records.one_at_a_time(tx)
    row = (await tx.execute(_READ, {"object": object_id})).first()
    if row is None:
        return applied
    for contact_id in sorted({one for one in (row.of_merged, row.of_left) if one is not None}):
        await customers.hold_of_contact(tx, contact_id)
    merged, left = await _hold(tx, object_id, row.into_id)
    waits = left is None and row.expected and row.heard_at > now - OWN
    if merged is None or waits:
        applied.counts[WAITING] += 1
        return applied
    if left is None and await contacts.hold(tx, merged) is None:  # erased at this moment
        return applied
    if left is None:  # what is left becomes the only contact that is known
        applied = await applying.become(tx, row.into_id, merged, properties, now=now, pace=pace)
    elif left != merged:
        done = await merging.merge(tx, left, merged, by=BY, now=now, pace=pace)
        applied.counts[MERGED] += done.outcome == "merged"
        applied.counts[TOO_LARGE] += done.outcome == "too_large"
    await tx.execute(_DONE, {"object": object_id, "now": now})
    return applied


async def give_up(tx: AsyncConnection, now: datetime) -> None:
    """Forget merges that were heard of long ago. Those whose contacts did not become known are counted."""
    given_up = (await tx.execute(_GIVE_UP, {"before": now - KEPT})).scalars().all()
    await drop_counts.add(tx, [Drop(applying.UNMATCHED, applying.KIND, count=sum(given_up))])


async def _hold(tx: AsyncConnection, object_id: str, into_id: str) -> tuple[str | None, str | None]:
    """Our contacts of the two of HubSpot, which are locked until the transaction ends."""
    held = {one: await objects.hold(tx, one) for one in sorted((object_id, into_id))}
    merged, left = held[object_id], held[into_id]
    return merged.contact_id if merged else None, left.contact_id if left else None


# What was merged before into one that is merged now is a part of the new one.
_FOLLOW = text(f"UPDATE hubspot_merged SET into_id = :into WHERE into_id = {any_of('ids')}")
_NOTE = text("""
    INSERT INTO hubspot_merged (object_id, into_id, heard_at)
    SELECT i.id, :into, :now FROM unnest(CAST(:ids AS text[])) AS i (id) ORDER BY i.id
    ON CONFLICT (object_id) DO NOTHING
""")
_EXPECTED = "(l.contact_id IS NULL AND (l.named_id IS NOT NULL OR l.email IS NOT NULL))"
_DUE = text(f"""
    SELECT m.object_id FROM hubspot_merged m JOIN hubspot_contact c ON c.object_id = m.object_id
    LEFT JOIN hubspot_contact l ON l.object_id = m.into_id
    WHERE m.done_at IS NULL AND c.contact_id IS NOT NULL
        AND ({_EXPECTED} IS NOT TRUE OR m.heard_at <= CAST(:before AS timestamptz))
    ORDER BY m.heard_at, m.object_id LIMIT :limit
""")
_READ = text(f"""
    SELECT m.into_id, m.heard_at, {_EXPECTED} AS expected, c.contact_id AS of_merged, l.contact_id AS of_left
    FROM hubspot_merged m LEFT JOIN hubspot_contact c ON c.object_id = m.object_id
    LEFT JOIN hubspot_contact l ON l.object_id = m.into_id
    WHERE m.object_id = :object AND m.done_at IS NULL
""")
_DONE = text("UPDATE hubspot_merged SET done_at = :now WHERE object_id = :object")
_GIVE_UP = text("DELETE FROM hubspot_merged WHERE heard_at < :before RETURNING CAST(done_at IS NULL AS integer)")
