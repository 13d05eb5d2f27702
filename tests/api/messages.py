"""Messages in the ledger, for tests of providers' and contacts' feedback."""

from __future__ import annotations

from sqlalchemy import text

from store.engine.database import Database
from store.schema.rows import Channel
from store.sending import ledger
from store.sending.messages.messages import Message, get
from tests.api.client import Api, track

PHONE = "+41446681800"
EMAIL = "ada@example.com"
STEPS = "".join(
    f"  - id: {event.replace('.', '-')}\n    wait_for: {{event: {event}, within: 3d, then: [], else: []}}\n"
    for event in ("email.clicked", "email.bounced", "sms.replied", "sms.failed", "contact.unsubscribed")
)


async def sending(
    api: Api,
    db: Database,
    channel: Channel,
    contact_id: str = "user-1",
    step: str = "hello",
    occurrence: int = 0,
    to: str | None = None,
) -> str:
    """Make a claimed message with an unknown outcome. Returns its id. `to` is another address."""
    await api.publish(track(steps=STEPS))
    own = {"email": EMAIL, "phone": PHONE} | ({"email" if channel == "email" else "phone": to} if to else {})
    await api.contact(contact_id, **own)
    enrolled = (await api.enroll(contact_id)).json()
    async with db.transaction() as tx:
        claim = await ledger.claim(
            tx, enrollment_id=enrolled["id"], step=step, occurrence=occurrence, channel=channel, token="one"
        )
    assert claim.decision == "granted"
    return claim.message_id


async def message(db: Database, message_id: str) -> Message:
    """The message in the ledger."""
    async with db.transaction() as tx:
        found = await get(tx, message_id)
    assert found is not None
    return found


async def rows(db: Database, statement: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    async with db.transaction() as tx:
        return [tuple(row) for row in await tx.execute(text(statement))]


async def another_day(db: Database) -> None:
    """Move the messages so far a day back, so that they do not count when the next one goes to the same address."""
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE message SET address_hash = NULL"))
