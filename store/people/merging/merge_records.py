"""The record of merges: who merged which id into which contact, when, and how long that can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, as_json
from store.schema.merged_ids import survivor_of
from store.schema.rows import columns, read_row

UNDO_WITHIN = timedelta(days=30)
"""How long a merge can be undone, and the merged contact's former data are kept."""
_PRUNED = 5_000
"""The most merges whose former data one call of `prune` deletes."""
_MERGE_LOCK = 0x7065_7265_6D67


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge of `merged_id` into the contact `contact_id`. Who merged or undid it is the name of an API key, or
    `hubspot`.

    `kept`: whether what is needed to undo it is still there. `changes` is what it changed of the survivor, by names.
    """

    id: str
    contact_id: str
    merged_id: str
    merged_by: str
    merged_at: datetime
    undone_by: str | None
    undone_at: datetime | None
    changes: Mapping[str, Any]
    kept: bool = field(metadata={"sql": "({table}.former IS NOT NULL)"})

    def undoable_until(self, now: datetime) -> datetime | None:
        """Until when it can be undone; None if it cannot be any more."""
        until = self.merged_at + UNDO_WITHIN
        return until if self.kept and self.undone_at is None and now < until else None


async def one_at_a_time(tx: AsyncConnection) -> None:
    """Wait for any other merge, and let no other begin until this transaction ends.

    A transaction that merges calls it before it locks any contact. So ids resolve the same until it ends.
    """
    await tx.execute(_ALONE, {"key": _MERGE_LOCK})


async def begin(
    tx: AsyncConnection, merge_id: str, survivor: str, merged: str, *, by: str, former: Mapping[str, Any], now: datetime
) -> None:
    """Record a merge."""
    values = {"id": merge_id, "into": survivor, "from": merged, "by": by, "former": as_json(former), "now": now}
    await tx.execute(_BEGIN, values)


async def keep_changes(tx: AsyncConnection, merge_id: str, changes: Mapping[str, Any]) -> None:
    """Record what the merge changed of the survivor."""
    await tx.execute(_CHANGES, {"id": merge_id, "changes": as_json(changes)})


async def former(tx: AsyncConnection, merge_id: str) -> Mapping[str, Any]:
    """What is kept of the merged contact."""
    found: Mapping[str, Any] = (await tx.execute(_FORMER, {"id": merge_id})).scalar_one() or {}
    return found


async def of_contact(tx: AsyncConnection, contact_id: str, *, limit: int = 200) -> Sequence[Merge]:
    """The merges that concern an id, the newest first: into its contact, of itself, and of what came with these."""
    rows = await tx.execute(_OF_CONTACT, {"id": contact_id, "limit": limit})
    return [read_row(Merge, row) for row in rows.mappings()]


async def newest_of(tx: AsyncConnection, merged: str) -> Merge | None:
    """The newest merge of this id, if it was not undone."""
    row = (await tx.execute(_NEWEST_OF, {"from": merged})).mappings().first()
    return read_row(Merge, row) if row else None


async def newest_into(tx: AsyncConnection, survivor: str) -> Merge | None:
    """The newest merge into this contact that was not undone."""
    row = (await tx.execute(_NEWEST_INTO, {"into": survivor})).mappings().first()
    return read_row(Merge, row) if row else None


async def finish(tx: AsyncConnection, merge_id: str, *, by: str, now: datetime) -> None:
    """Record that a merge was undone; what it had kept is deleted."""
    await tx.execute(_FINISH, {"id": merge_id, "by": by, "now": now})
    await tx.execute(_FORGET, {"ids": [merge_id]})


async def forget_person(tx: AsyncConnection, ids: Sequence[str]) -> None:
    """Delete what is kept of merges of an erased person, and let the person's ids stand for nobody."""
    found = (await tx.execute(_OF_PERSON, {"ids": list(ids)})).scalars().all()
    await tx.execute(_FORGET, {"ids": list(found)})
    await tx.execute(_NOBODY, {"ids": list(ids)})


async def prune(tx: AsyncConnection, now: datetime) -> int:
    """Delete what is kept of merges that can no longer be undone; returns of how many."""
    found = (await tx.execute(_OLD, {"before": now - UNDO_WITHIN, "limit": _PRUNED})).scalars().all()
    await tx.execute(_FORGET, {"ids": list(found)})
    return len(found)


_COLUMNS = columns(Merge, "m")
_ALONE = text("SELECT pg_advisory_xact_lock(:key)")
_BEGIN = text("""
    INSERT INTO contact_merge (id, contact_id, merged_id, merged_by, merged_at, former)
    VALUES (:id, :into, :from, :by, :now, CAST(:former AS jsonb))
""")
_CHANGES = text("UPDATE contact_merge SET changes = CAST(:changes AS jsonb) WHERE id = :id")
_FORMER = text("SELECT former FROM contact_merge WHERE id = :id")
_OF_CONTACT = text(f"""
    WITH who AS (SELECT {survivor_of("CAST(:id AS text)")} AS id),
    ids AS (SELECT id FROM who UNION SELECT g.id FROM who JOIN merged_id g ON g.contact_id = who.id)
    SELECT {_COLUMNS} FROM contact_merge m
    WHERE m.id = ANY(ARRAY(
        SELECT o.id FROM ids JOIN contact_merge o ON o.contact_id = ids.id
        UNION SELECT o.id FROM ids JOIN contact_merge o ON o.merged_id = ids.id
    ))
    ORDER BY m.id DESC LIMIT :limit
""")
_NEWEST_OF = text(f"""
    SELECT {_COLUMNS} FROM contact_merge m WHERE m.merged_id = :from AND m.undone_at IS NULL ORDER BY m.id DESC LIMIT 1
""")
_NEWEST_INTO = text(f"""
    SELECT {_COLUMNS} FROM contact_merge m WHERE m.contact_id = :into AND m.undone_at IS NULL ORDER BY m.id DESC LIMIT 1
""")
_FINISH = text("UPDATE contact_merge SET undone_by = :by, undone_at = :now WHERE id = :id")
_OF_PERSON = text(f"""
    SELECT id FROM contact_merge WHERE contact_id = {any_of("ids")}
    UNION SELECT id FROM contact_merge WHERE merged_id = {any_of("ids")}
""")
_FORGET = text(f"""
    WITH moved AS (DELETE FROM merge_moved WHERE merge_id = {any_of("ids", "uuid")})
    UPDATE contact_merge SET former = NULL, changes = jsonb_build_object('moved', coalesce(changes -> 'moved', '{{}}'))
    WHERE id = {any_of("ids", "uuid")}
""")
_NOBODY = text(f"DELETE FROM merged_id WHERE contact_id = {any_of('ids')}")
_OLD = text("""
    SELECT id FROM contact_merge WHERE former IS NOT NULL AND merged_at < :before ORDER BY merged_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
""")
