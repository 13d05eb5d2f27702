"""What follows from a changed contact: live runs hear of it, and segments and scores are brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace as replaced
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.memberships import memberships
from store.audience.memberships.memberships import Touch
from store.engine.ids import new_id
from store.engine.sql import any_of, as_json, many
from store.runs.events import awaited_conditions, events
from store.schema.rows import Contact, computed


async def tell_runs(
    tx: AsyncConnection, before: Mapping[str, Contact], state: Mapping[str, Contact], bulk: bool, now: datetime
) -> list[str]:
    """Signal the runs whose dates changed. Answers the changed contacts if a run of any of them waits for a condition,
    else nothing."""
    touched = [i for i, old in before.items() if state[i] is not old]
    if not touched:
        return []
    changed = {i: differing(before[i].attributes, state[i].attributes) for i in touched}
    waits = (await tx.execute(_CHANGED, _told(changed, now, bulk) | {"ids": touched})).scalar_one()
    return touched if waits else []


async def tell_attributes(
    tx: AsyncConnection, changed: Mapping[str, Iterable[str]], now: datetime, bulk: bool = False
) -> None:
    """Signal the live runs whose tracks wait for a changed attribute; `changed` has the names by contact."""
    if any(changed.values()):
        await tx.execute(_ATTRIBUTES_CHANGED, _told(changed, now, bulk))


def _told(changed: Mapping[str, Iterable[str]], now: datetime, bulk: bool) -> dict[str, Any]:
    pairs = [(i, name) for i, names in changed.items() for name in sorted(names)]
    return {
        "contact_id": [i for i, _ in pairs],
        "name": [name for _, name in pairs],
        "change": new_id(),
        "bulk": bulk,
        "now": now,
    }


async def tell_segments(
    tx: AsyncConnection,
    before: Mapping[str, Contact],
    state: Mapping[str, Contact],
    bulk: bool,
    now: datetime,
    pace: float,
) -> dict[str, Contact]:
    """Bring segments and scores up to date; returns the contacts for whom any changed, as they are now."""
    touched = {
        contact_id: Touch(changed=contact_id in before, created=contact_id not in before)
        for contact_id, new in state.items()
        if before.get(contact_id) is not new
    }
    if not touched:
        return {}
    updated = await memberships.update(tx, touched, now, held=state)
    await events.tell_changes(tx, updated, now=now, pace=pace, bulk=bulk)
    moved: dict[str, Contact] = {}
    for change in updated.changes:
        contact = moved.get(change.contact_id, state[change.contact_id])
        names = {*contact.segments, change.segment} if change.entered else {*contact.segments} - {change.segment}
        moved[contact.id] = replaced(contact, segments=sorted(names))
    if updated.scored:
        for row in await tx.execute(_SCORES, {"ids": sorted(updated.scored)}):
            moved[row.id] = replaced(moved.get(row.id, state[row.id]), scores=row.scores)
    return moved


def differing(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> frozenset[str]:
    """The names of the attributes that differ."""
    a, b = old or {}, new or {}
    # compared as JSON: 1, 1.0 and True are different values for a condition
    return frozenset(n for n in {*a, *b} if (n in a) != (n in b) or as_json(a[n]) != as_json(b[n]))


_SCORES = text(f"SELECT id, {computed(Contact, 'scores', 'contact')} FROM contact WHERE id = {any_of('ids')}")
_TELL = f"""
    INSERT INTO outbox (enrollment_id, kind, payload, created_at, next_attempt_at, bulk)
    SELECT e.id, 'attributes',
        jsonb_build_object('change_id', CAST(:change AS text), 'names', jsonb_agg(c.name ORDER BY c.name)),
        :now, :now, :bulk
    FROM {many("c", contact_id="text", name="text")}
    JOIN enrollment e ON e.contact_id = c.contact_id AND e.ended_at IS NULL
    JOIN track_version v ON v.track = e.track AND v.version = e.version AND c.name = ANY(v.attributes)
    GROUP BY e.id ORDER BY e.id
"""
_ATTRIBUTES_CHANGED = text(_TELL)
_CHANGED = text(f"WITH told AS ({_TELL}) {awaited_conditions.ANY_WAITING}")
