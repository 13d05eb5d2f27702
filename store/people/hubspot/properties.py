"""The newest known value of each property of HubSpot, and the attributes of a contact that follow from them.

The attributes are computed from the newest values only, so they do not depend on the order in which changes arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, many
from store.people.hubspot.hubspot_change import Change, Moment, Properties
from store.people.hubspot.typed_values import Value

Outcome = Literal["changed", "own", "unchanged", "duplicate", "overtaken"]
"""What a change is: a person's, our own, none because the value is the same, repeated, or older than what is known."""


class Kept(NamedTuple):
    """A change, the value before it, and what it is."""

    change: Change
    before: str | None
    outcome: Outcome


async def keep(tx: AsyncConnection, object_id: str, changes: Sequence[Change]) -> list[Kept]:
    """Take changes of one object, which is locked, into its newest values: oldest first, whatever their order here."""
    names = sorted({one.name for one in changes})
    if not names:
        return []
    found = await tx.execute(_NEWEST, {"object": object_id, "names": names})
    newest = {row.name: (Moment(row.occurred_at, row.event_id), row.value) for row in found}
    kept, new = [], set[str]()
    for one in sorted(changes, key=lambda one: one.moment):
        moment, before = newest.get(one.name, (None, None))
        if moment is not None and one.moment <= moment:
            late: Outcome = "duplicate" if one.moment == moment else "own" if one.own else "overtaken"
            kept.append(Kept(one, before, late))
            continue
        newest[one.name] = (one.moment, one.value)
        new.add(one.name)
        outcome: Outcome = "unchanged" if before == one.value else "own" if one.own else "changed"
        kept.append(Kept(one, before, outcome))
    if new:
        written = [(name, *newest[name]) for name in sorted(new)]
        await tx.execute(
            _KEEP,
            {
                "object": object_id,
                "name": [name for name, _, _ in written],
                "value": [value for _, _, value in written],
                "occurred_at": [moment.at for _, moment, _ in written],
                "event_id": [moment.event_id for _, moment, _ in written],
            },
        )
    return kept


async def attributes_of(
    tx: AsyncConnection, contact_id: str, properties: Properties, names: Iterable[str]
) -> dict[str, Value]:
    """The contact's values of the attributes that these properties become, of all objects that are this contact.

    Of several values, the newest counts. Attributes of which HubSpot never said anything are left out.
    """
    mapped = properties.attributes
    wanted = {mapped[name] for name in names}
    asked = {"contact": contact_id, "names": sorted(name for name, it in mapped.items() if it in wanted)}
    rows = [(Moment(row.occurred_at, row.event_id), row) for row in await tx.execute(_OF_CONTACT, asked)]
    return {mapped[row.name]: properties.value(row.name, row.value) for _, row in sorted(rows, key=lambda one: one[0])}


_NEWEST = text(f"""
    SELECT name, value, occurred_at, event_id FROM hubspot_property
    WHERE object_id = :object AND name = {any_of("names")}
""")
_KEEP = text(f"""
    INSERT INTO hubspot_property (object_id, name, value, occurred_at, event_id)
    SELECT :object, p.name, p.value, p.occurred_at, p.event_id
    FROM {many("p", name="text", value="text", occurred_at="timestamptz", event_id="text")}
    ON CONFLICT (object_id, name) DO UPDATE
    SET value = excluded.value, occurred_at = excluded.occurred_at, event_id = excluded.event_id
""")
_OF_CONTACT = text(f"""
    SELECT p.name, p.value, p.occurred_at, p.event_id
    FROM hubspot_contact c JOIN hubspot_property p ON p.object_id = c.object_id
    WHERE c.contact_id = :contact AND p.name = {any_of("names")}
""")
