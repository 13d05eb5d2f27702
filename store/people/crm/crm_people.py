"""Who may see the pages of the built-in CRM: a row per salesperson; links made before `valid_from` do not work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def admit(tx: AsyncConnection, name: str, now: datetime) -> None:
    """Note the person, for whom a link is made now. Links that were made before go on working."""
    await tx.execute(_ADMIT, {"name": name, "now": now})


async def valid_from(tx: AsyncConnection, name: str) -> datetime | None:
    """The moment before which links and sign-ins of the person are not valid; None if nobody has that name."""
    found: datetime | None = (await tx.execute(_VALID_FROM, {"name": name})).scalar()
    return found


async def shut_out(tx: AsyncConnection, name: str) -> bool:
    """End all sign-ins and links of the person. Returns whether there is one with that name."""
    return (await tx.execute(_SHUT_OUT, {"name": name})).rowcount > 0


_ADMIT = text("""
    INSERT INTO crm_person (name, valid_from) VALUES (:name, :now) ON CONFLICT (name) DO NOTHING
""")
_VALID_FROM = text("SELECT valid_from FROM crm_person WHERE name = :name")
_SHUT_OUT = text("DELETE FROM crm_person WHERE name = :name")
