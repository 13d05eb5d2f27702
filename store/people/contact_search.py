"""List contacts by id, or search them by email, phone, attribute or id prefix. Each way has its own index."""

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
"""Greater than any character of an id, in the order of the collation `C`."""


_FEW = 2_000
"""Up to this many matches are found first and sorted then. With more, a scan in id order soon finds a page of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The criteria of a search; a contact must meet all that are given. `emails` are spellings of one address."""

    emails: Sequence[str] = ()
    phone: str | None = None
    attribute: tuple[str, str] | None = None
    """A name and a value. A value that is a number, true or false matches both as such and as a text."""
    prefix: str = ""
    """The beginning of the id."""


async def page(tx: AsyncConnection, wanted: Wanted, *, after: str | None = None, limit: int = 50) -> list[Contact]:
    """Contacts in the byte order of their ids, those after the contact `after` (keyset pagination).

    PostgreSQL cannot estimate how many contacts have an attribute or an address. So the query first collects matches by
    their own index. If there are many, it reads the contacts in id order instead until the page is full.
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
    """The number, true or false that a text represents, or the text itself."""
    try:
        value = json.loads(written, parse_constant=str)
    except (ValueError, RecursionError):
        return written
    return value if isinstance(value, (int, float)) else written


_COLUMNS = columns(Contact, "contact")
_ORDER = 'ORDER BY contact.id COLLATE "C" LIMIT :limit'
# Returns at least one row, so that "found, but none on this page" differs from "none found".
_FIRST = f"""
    WITH few AS MATERIALIZED ({{few}})
    SELECT n.found, contact.* FROM (SELECT count(*) AS found FROM few) n
    LEFT JOIN (SELECT {_COLUMNS} FROM few AS contact {{where}} {_ORDER}) contact ON true
    ORDER BY contact.id COLLATE "C"
"""
