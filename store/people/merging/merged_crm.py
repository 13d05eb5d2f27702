"""The built-in CRM's cards of two contacts: the survivor's own stage and fields win, missing ones are filled.

Notes and tasks move. A CRM outside, such as HubSpot, keeps both contacts: it has a merge of its own
(`store.people.merging.hubspot_merges`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import as_json


async def fill(tx: AsyncConnection, survivor: str, former: Mapping[str, Any] | None) -> dict[str, Any]:
    """Fill the survivor's card from the merged contact's, which is deleted; returns the names of what was filled."""
    if former is None:
        return {}
    own = (await tx.execute(_READ, {"id": survivor})).mappings().first()
    fields = {name: value for name, value in former["fields"].items() if own is None or name not in own["fields"]}
    stage = former["stage"] if own is None or own["stage"] is None else None
    await tx.execute(_REMOVE, {"id": former["contact_id"]})
    values = {"id": survivor, "stage": stage, "fields": as_json(fields), "at": former["updated_at"]}
    await tx.execute(_FILL, values)
    return {"made": own is None, "stage": stage is not None, "fields": sorted(fields)}


async def take_away(
    tx: AsyncConnection, survivor: str, former: Mapping[str, Any] | None, filled: Mapping[str, Any]
) -> None:
    """Give the card back, and take away what was filled, as far as the survivor still has those values."""
    if former is None:
        return
    given = {name: former["fields"][name] for name in filled.get("fields", ())}
    stage = former["stage"] if filled.get("stage") else None
    values = {"id": survivor, "stage": stage, "fields": as_json(given)}
    await tx.execute(_TAKE_AWAY, values)
    if filled.get("made"):
        await tx.execute(_REMOVE_EMPTY, {"id": survivor})
    await tx.execute(_RESTORE, {"former": as_json(former)})


_READ = text("SELECT stage, fields FROM crm_contact WHERE contact_id = :id")
_REMOVE = text("DELETE FROM crm_contact WHERE contact_id = :id")
_FILL = text("""
    INSERT INTO crm_contact AS c (contact_id, stage, fields, updated_at)
    VALUES (:id, :stage, CAST(:fields AS jsonb), CAST(:at AS timestamptz))
    ON CONFLICT (contact_id) DO UPDATE SET stage = coalesce(excluded.stage, c.stage),
        fields = c.fields || excluded.fields
""")
_TAKE_AWAY = text("""
    UPDATE crm_contact c SET stage = nullif(c.stage, CAST(:stage AS text)),
        fields = c.fields - ARRAY(
            SELECT g.key FROM jsonb_each(CAST(:fields AS jsonb)) g WHERE c.fields -> g.key = g.value
        )
    WHERE c.contact_id = :id
""")
_REMOVE_EMPTY = text("DELETE FROM crm_contact WHERE contact_id = :id AND stage IS NULL AND fields = '{}'")
_RESTORE = text("""
    INSERT INTO crm_contact (contact_id, stage, fields, updated_at)
    SELECT contact_id, stage, fields, updated_at
    FROM jsonb_populate_record(CAST(NULL AS crm_contact), CAST(:former AS jsonb))
""")
