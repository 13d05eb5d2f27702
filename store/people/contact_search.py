"""Contacts listed by their ids, or looked for by what is known of them. Each way has an index of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, as_json
from store.schema.rows import Contact, columns, read_row

_LAST = "\U0010ffff"
"""Greater than any letter that an id has, in the order of the database's `C`."""


_FEW = 2_000
"""Contacts that are put in order after they were found; more than that are soon met in the order of all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom to look for; all that is given has to be true of a contact. `emails` are ways to write one address."""

    emails: Sequence[str] = ()
    phone: str | None = None
    attribute: tuple[str, str] | None = None
    """A name and a value. A value that is a number, true or false is found as such and as text."""
    prefix: str = ""
    """What the id begins with."""


async def page(tx: AsyncConnection, wanted: Wanted, *, after: str | None = None, limit: int = 50) -> list[Contact]:
    """Contacts by id, in the order of its bytes; those after the contact `after` (keyset pagination).

    PostgreSQL cannot know how many have an attribute or an address. So those are looked up first, by their own index;
    where they are many, the contacts are read in order until there are enough.
    """
    asked: dict[str, Any] = {"limit": limit, "few": _FEW + 1}
    own, order = [], []
    if wanted.emails:
        own.append(f"lower(email) = {any_of('emails')}")
        asked["emails"] = [email.lower() for email in wanted.emails]
    if wanted.phone is not None:
        own.append("phone = :phone")
        asked["phone"] = wanted.phone
    if wanted.attribute is not None:
        own.append("(attributes @> CAST(:attribute AS jsonb) OR attributes @> CAST(:as_value AS jsonb))")
        name, value = wanted.attribute
        asked |= {"attribute": as_json({name: value}), "as_value": as_json({name: _value(value)})}
    if wanted.prefix:
        order.append('id COLLATE "C" >= :prefix AND id COLLATE "C" < :prefix_end')
        asked |= {"prefix": wanted.prefix, "prefix_end": wanted.prefix + _LAST}
    if after is not None:
        order.append('id COLLATE "C" > :after')
        asked["after"] = after
    if own:
        few = f"SELECT contact.* FROM contact WHERE {' AND '.join(own)} LIMIT :few"
        rows = (await tx.execute(text(_FIRST.format(few=few, where=_where(order))), asked)).mappings().all()
        if not rows or rows[0]["found"] <= _FEW:
            return [read_row(Contact, row) for row in rows if row["id"] is not None]
    statement = f"SELECT {_COLUMNS} FROM contact {_where([*own, *order])} {_ORDER}"
    return [read_row(Contact, row) for row in (await tx.execute(text(statement), asked)).mappings()]


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _value(written: str) -> Any:
    """The number, true or false that a text may stand for, or the text."""
    try:
        value = json.loads(written, parse_constant=str)
    except (ValueError, RecursionError):
        return written
    return value if isinstance(value, (int, float)) else written


_COLUMNS = columns(Contact, "contact")
_ORDER = 'ORDER BY contact.id COLLATE "C" LIMIT :limit'
# One row at least, so that many found and none of them wanted can be told from none found.
_FIRST = f"""
    WITH few AS MATERIALIZED ({{few}})
    SELECT n.found, contact.* FROM (SELECT count(*) AS found FROM few) n
    LEFT JOIN (SELECT {_COLUMNS} FROM few AS contact {{where}} {_ORDER}) contact ON true
    ORDER BY contact.id COLLATE "C"
"""
