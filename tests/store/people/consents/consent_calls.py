"""What contacts say about consent, and what holds afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from store.people.consents import consents, preferences, suppressions
from store.people.consents.consents import Change
from store.published import policies
from store.schema.rows import Channel
from tests.store.store_calls import NOW, StoreCalls
from tracks.policy.workspace_policy import parse_policy

POLICY = """
topics:
  tips: {name: Tips}
  news: {name: News, opt_in: double}
"""


def at(hours: float) -> Any:
    return NOW + timedelta(hours=hours)


async def policy(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        await policies.publish(tx, parse_policy(POLICY), POLICY, now=NOW)


async def tell(store: StoreCalls, *changes: Change, contact_id: str = "ann", hours: float = 0) -> preferences.Told:
    async with store.db.transaction() as tx:
        told = await preferences.tell(tx, contact_id, changes, now=at(hours))
    assert told is not None
    return told


async def held(store: StoreCalls, contact_id: str = "ann") -> dict[tuple[str, str], str]:
    async with store.db.transaction() as tx:
        return {(c.channel, c.topic): c.status for c in await consents.current(tx, contact_id)}


async def suppressed(store: StoreCalls, address: str = "ann@acme.test", channel: Channel = "email") -> str | None:
    async with store.db.transaction() as tx:
        found = await suppressions.find(tx, channel, address)
    return found.reason if found else None
