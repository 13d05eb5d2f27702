"""What contacts do on the pages that a message's links lead to, and what holds afterwards."""

from __future__ import annotations

import re

from sqlalchemy import text

from settings import Settings
from store.engine.database import Database
from store.people.consents import suppressions
from store.published import policies
from store.schema.addresses import address_hash
from store.schema.rows import Channel
from tests.api.client import Api
from tests.api.messages import EMAIL, PHONE, rows, sending
from tracks.policy.workspace_policy import parse_policy
from tracks.shared.link_tokens import confirm_url, unsubscribe_url

POLICY = """
topics:
  tips: {name: Tips & tricks, names: {de: Tipps}, description: Once a week}
  news: {name: News, opt_in: double}
channels:
  sms: {opt_in: explicit}
"""


async def publish_policy(db: Database, source: str = POLICY) -> None:
    async with db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)


async def message(api: Api, db: Database, *, channel: Channel = "email", topic: str = "", policy: str = POLICY) -> str:
    """Send a message to user-1. Returns its id."""
    await publish_policy(db, policy)
    sent = await sending(api, db, "email")
    async with db.transaction() as tx:
        to = address_hash(channel, EMAIL if channel == "email" else PHONE)
        written = {"topic": topic, "c": channel, "to": to}
        await tx.execute(text("UPDATE message SET topic = :topic, channel = :c, address_hash = :to"), written)
    return sent


def link(settings: Settings, sent: str) -> str:
    return unsubscribe_url(settings.public_url, settings.secret.get_secret_value(), sent)


def confirmation(settings: Settings, sent: str) -> str:
    return confirm_url(settings.public_url, settings.secret.get_secret_value(), sent)


async def suppressed(db: Database, channel: Channel = "email", address: str = EMAIL) -> str | None:
    async with db.transaction() as tx:
        found = await suppressions.find(tx, channel, address)
    return found.reason if found else None


async def held(db: Database) -> dict[tuple[object, object], object]:
    return {(c, t): s for c, t, s in await rows(db, "SELECT channel, topic, status FROM consent")}


async def state(db: Database) -> str:
    """All state that a scanner must not change."""
    tables = ("consent", "consent_change", "suppression", "event", "outbox", "contact")
    return str([await rows(db, f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables])


def boxes(page: str) -> list[str]:
    return re.findall(r'name="seen" value="([^"]+)"', page)


async def save(api: Api, url: str, *on: str) -> str:
    """Save the page as it is shown now, with these boxes ticked."""
    shown = (await api.client.get(url)).text
    assert set(on) <= set(boxes(shown))
    answer = await api.client.post(url, data={"seen": boxes(shown), "on": list(on), "do": "save"})
    assert answer.status_code == 200
    return answer.text


NEW = "ada@elsewhere.example"


async def move(api: Api, address: str = NEW) -> None:
    """The contact has another mailbox now."""
    assert (await api.call("PUT", "/v1/contacts/user-1", json={"email": address})).status_code == 200


GRANT = {"channel": "email", "status": "granted", "source": "form"}
