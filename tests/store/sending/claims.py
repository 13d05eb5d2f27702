"""Claims as the tests of sending make them: a policy, consents, several runs of one contact, a claim at a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text

from store.engine.ids import new_id
from store.published import policies
from store.schema.rows import Enrollment
from store.sending import send_outcomes
from store.sending.ledger import Claim
from tests.store.store_calls import NOW, StoreCalls
from tracks.model.message_rules import MessageRules
from tracks.policy.workspace_policy import parse_policy

MANY = """
track: many
reentry: {per: n}
steps:
  - id: hello
    email: {template: hello, from: 'Ada <ada@acme.test>'}
"""
TOPICS = """
topics:
  tips: {name: Tips}
  news: {name: News, opt_in: explicit}
  digest: {name: Digest, opt_in: double}
"""


async def publish(store: StoreCalls, source: str) -> None:
    async with store.db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)


async def consent(store: StoreCalls, topic: str, status: str, contact: str = "ann", channel: str = "email") -> None:
    async with store.db.transaction() as tx:
        await tx.execute(
            text("""
                INSERT INTO consent (contact_id, channel, topic, status, source, at)
                VALUES (:contact, :channel, :topic, :status, 'test', now())
                ON CONFLICT (contact_id, channel, topic) DO UPDATE SET status = :status
            """),
            {"contact": contact, "channel": channel, "topic": topic, "status": status},
        )


async def several(store: StoreCalls, count: int, contact: str = "ann", **more: Any) -> list[Enrollment]:
    """Live enrollments of one contact."""
    return [
        await store.enrolled("many", contact, key=f"{contact}-{n}", properties={"n": f"{contact}-{n}"}, **more)
        for n in range(count)
    ]


async def claim(store: StoreCalls, run: Enrollment, at: datetime = NOW, **more: Any) -> Claim:
    """Claim the message. If it is granted, it is sent."""
    rules = {name: more.pop(name) for name in list(more) if name in MessageRules.__dataclass_fields__}
    claim = await store.claim(run.id, token=new_id(), now=at, rules=MessageRules(**rules), **more)
    if claim.decision == "granted":
        async with store.db.transaction() as tx:
            message = await tx.execute(text("SELECT token FROM message WHERE id = :id"), {"id": claim.message_id})
            await send_outcomes.settle(tx, claim.message_id, token=message.scalar_one(), outcome="sent", now=at)
    return claim
