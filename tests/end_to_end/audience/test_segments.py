"""A segment begins and ends runs on real servers: by an event, and by nothing but the passing of time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.installation.one_process import Installation

SEGMENT = "segment: risk\nmembers: {all: [{did: app.opened}, {did_not: app.used, within: 14d}]}\n"
TRACK = """
track: rescue
entry: {segment: risk}
reentry: always
exits: [{leaves: risk}]
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: month, wait: 30d}
"""


async def happened(installation: Installation, who: str, name: str, event_id: str, ago: timedelta) -> dict[str, Any]:
    at = (datetime.now(UTC) - ago).isoformat()
    body = {"event_id": event_id, "contact_id": who, "name": name, "occurred_at": at}
    answer: dict[str, Any] = await installation.call("POST", "/v1/events", body)
    return answer


async def run_of(installation: Installation, who: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            runs = (await installation.call("GET", f"/v1/contacts/{who}/enrollments"))["enrollments"]
            if runs:
                newest: dict[str, Any] = runs[0]
                return newest
            await asyncio.sleep(0.1)


async def test_silence_begins_a_run_and_an_event_ends_it(installation: Installation) -> None:
    await installation.publish("risk", SEGMENT, "segments")
    async with asyncio.timeout(30):
        while (await installation.call("GET", "/v1/segments/risk"))["live"] is None:
            await asyncio.sleep(0.1)
    await installation.publish("rescue", TRACK)
    two_seconds = timedelta(days=14) - timedelta(seconds=2)
    await happened(installation, "risk-1", "app.used", "r-1", two_seconds)
    await happened(installation, "risk-1", "app.opened", "r-2", timedelta(0))
    assert (await installation.call("GET", "/v1/contacts/risk-1"))["segments"] == []
    run = await run_of(installation, "risk-1")
    assert run["track"] == "rescue"
    await installation.until(run["id"], "waiting")
    await happened(installation, "risk-1", "app.used", "r-3", timedelta(0))
    ended = await installation.until(run["id"], "exited", seconds=20)
    assert ended["end_reason"] == "left-risk"


DATED = """
track: dated
entry: {date: {attribute: appointment, offset: -1h}}
reentry: always
unless: [{did: appointment.canceled, within: 30d}]
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: reminder, email: {template: hello}}
"""


async def test_a_date_begins_a_run_by_itself_and_leaves_alone_who_canceled(installation: Installation) -> None:
    await installation.publish("dated", DATED)
    comes = datetime.now(UTC) + timedelta(hours=1, seconds=2)
    for who in ("dated-1", "dated-2"):
        person = {"email": f"{who}@people.test", "attributes": {"appointment": comes.isoformat()}}
        await installation.call("PUT", f"/v1/contacts/{who}", person)
    await happened(installation, "dated-2", "appointment.canceled", "d-1", timedelta(0))
    run = await run_of(installation, "dated-1")
    assert (run["track"], run["entry"]) == ("dated", "appointment")
    began = datetime.fromisoformat(run["created_at"]) - (comes - timedelta(hours=1))
    assert timedelta(0) <= began < timedelta(seconds=10)
    await installation.until(run["id"], "completed", seconds=20)
    assert len(await installation.accepted("dated-1@people.test")) == 1
    assert (await installation.call("GET", "/v1/contacts/dated-2/enrollments"))["enrollments"] == []
