"""The salesperson of a contact: who got the last handoff."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.published import policies


async def mailbox_of(tx: AsyncConnection, contact_id: str) -> str | None:
    """The mailbox, by the newest policy, of who got the contact's last handoff that reached somebody.

    None if there was no handoff, or the policy has no such person any more, or no email address of theirs.
    """
    last = (await tx.execute(_LAST, {"contact": contact_id})).first()
    if last is None:
        return None
    team = (await policies.current(tx)).policy.sales.teams.get(last.team)
    people = team.people if team else ()
    return next((person.email for person in people if person.id == last.salesperson), None)


_LAST = text("""
    SELECT team, salesperson FROM handoff WHERE contact_id = :contact AND status <> 'failed' ORDER BY id DESC LIMIT 1
""")
