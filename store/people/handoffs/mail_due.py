"""Which handoffs the salesperson is still to get an email about. The ledger of messages says whether it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.people.handoffs.handoff import COLUMNS, Handoff
from store.schema.rows import read_row

LEASE = timedelta(minutes=2)
"""How long a process has to send the emails that it took. Then another one may take them; the ledger prevents that any
of them is sent twice."""


@dataclass(frozen=True, slots=True)
class MailDue:
    """An email that is due."""

    handoff: Handoff
    attempts: int
    """How often it was tried, with this time."""


async def schedule(tx: AsyncConnection, effect_key: str, now: datetime) -> None:
    """The salesperson is to get an email about the handoff of this effect."""
    await tx.execute(_SCHEDULE, {"key": effect_key, "now": now})


async def claim(tx: AsyncConnection, now: datetime, *, limit: int = 10) -> list[MailDue]:
    """Take the emails that are due; for the time of the lease they are nobody else's."""
    rows = (await tx.execute(_CLAIM, {"now": now, "lease": now + LEASE, "limit": limit})).mappings()
    return [MailDue(read_row(Handoff, row), row["mail_attempts"]) for row in rows]


async def put_off(tx: AsyncConnection, handoff_id: str, again_at: datetime | None) -> None:
    """Try again then; None: nothing is to be sent any more, because the email was sent or will never be."""
    await tx.execute(_PUT_OFF, {"id": handoff_id, "at": again_at})


_SCHEDULE = text("UPDATE handoff SET mail_at = :now WHERE effect_key = :key")
_CLAIM = text(f"""
    UPDATE handoff o SET mail_at = :lease, mail_attempts = mail_attempts + 1
    WHERE id IN (
        SELECT id FROM handoff WHERE mail_at <= :now ORDER BY mail_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING {COLUMNS}, o.mail_attempts
""")
_PUT_OFF = text("UPDATE handoff SET mail_at = :at WHERE id = :id")
