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
