"""Law 12 in the relay and below it: a poisoned row waits or fails alone, and the others are delivered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from api.relay.outbox_relay import Relay
from bench.installation.one_process import Installation
from store.engine.database import Database
from store.runs.outbox import outbox
from tests.conftest import DevServer
from tests.end_to_end.conftest import installation, servers
from tests.support.enrolling import enroll, publish, upsert_contact
from tracks.checks.track_document import parse_track
from tracks.compiler.compiler import compile_track

__all__ = ["installation", "servers"]

WAITING = """
track: {name}
steps:
  - {{id: reply, wait_for: {{event: said, within: 30d, else: []}}}}
"""


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, 2)
    yield opened
    await opened.close()


async def execute(database: Database, statement: str, **values: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(statement), values)


async def left(database: Database, count: int) -> None:
    """Wait until `count` rows wait in the outbox."""
    async with asyncio.timeout(30):
        while True:
            async with database.transaction() as tx:
                if (await outbox.backlog(tx)).waiting == count:
                    return
            await asyncio.sleep(0.05)


async def test_a_track_version_that_nobody_can_read_holds_back_its_own_contacts_only(
    database: Database, dev_server: DevServer
) -> None:
    for name in ("poisoned", "sound"):
        await publish(database, WAITING.format(name=name))
    await upsert_contact(database, "poison-1")
    await enroll(database, "poisoned", "poison-1")
    await enroll(database, "sound", "poison-1")
    await execute(database, """UPDATE track_version SET compiled = '{"program": 7}' WHERE track = 'poisoned'""")
    async with Relay(database, await dev_server.connect()):
        await left(database, 1)
        compiled = compile_track(parse_track(WAITING.format(name="poisoned"), "")).model_dump_json()
        mended = "UPDATE track_version SET compiled = CAST(:compiled AS jsonb) WHERE track = 'poisoned'"
        await execute(database, mended, compiled=compiled)
        await left(database, 0)


async def test_the_relay_outlives_a_pool_without_a_free_connection(database: Database, dev_server: DevServer) -> None:
    await publish(database, WAITING.format(name="crowded"))
    await upsert_contact(database, "crowded-1")
    small = Database(database.url.render_as_string(hide_password=False), 1, patience=0.1)
    async with Relay(small, await dev_server.connect()):
        async with small.transaction():
            await enroll(database, "crowded", "crowded-1")
            await asyncio.sleep(1)  # meanwhile its reads fail
        await left(database, 0)
    await small.close()


TRACK = """
track: shared
goal: {event: bought, where: 'event.properties.amount > 10'}
defaults: {sms: {from: '+15005550006'}}
steps:
  - id: text
    sms: {text: '{% assign parts = contact.attributes.parts | default: 1 %}Each gets {{ 12 | divided_by: parts }}.'}
  - {id: reply, wait_for: {event: said, within: 30d, since: enrollment}}
"""
PEOPLE: dict[str, dict[str, Any]] = {
    "sound-1": {"phone": "+14155550171"},
    "no-number": {"phone": "+15005550001"},
    "no-parts": {"phone": "+14155550172", "attributes": {"parts": 0}},
    "odd-amount": {"phone": "+14155550173"},
    "odd-signal": {"phone": "+14155550174"},
    "sound-2": {"phone": "+14155550175"},
}


async def test_poisoned_contacts_templates_events_and_signals_touch_themselves_only(installation: Installation) -> None:
    await installation.publish("shared", TRACK)
    runs = {}
    for contact, fields in PEOPLE.items():
        await installation.call("PUT", f"/v1/contacts/{contact}", fields)
        runs[contact] = (
            await installation.call("POST", "/v1/enrollments", {"track": "shared", "contact_id": contact})
        )["id"]
    await execute(
        installation.database,
        "INSERT INTO outbox (enrollment_id, kind, payload) VALUES (CAST(:run AS uuid), 'event', '{\"matches\": 7}')",
        run=runs["odd-signal"],
    )
    odd = {"event_id": "odd-1", "contact_id": "odd-amount", "name": "bought", "properties": {"amount": "lots"}}
    assert (await installation.call("POST", "/v1/events", odd))["matched"] == 0
    for contact in PEOPLE:
        event = {"event_id": f"{contact}-said", "contact_id": contact, "name": "said"}
        assert (await installation.call("POST", "/v1/events", event))["matched"] == 1
    ended = {contact: await installation.until(run, "completed") for contact, run in runs.items()}
    outcomes = {contact: [entry["outcome"] for entry in found["path"]] for contact, found in ended.items()}
    failed = {"no-number", "no-parts"}
    assert outcomes == {contact: ["failed" if contact in failed else "sent", "happened"] for contact in PEOPLE}
    assert ended["no-number"]["messages"][0]["reason"] == "twilio:21211"
    assert ended["no-parts"]["messages"][0]["reason"].startswith("template: ")
    assert ended["odd-signal"]["counts"]["dropped"] == {"malformed signal": 1}
