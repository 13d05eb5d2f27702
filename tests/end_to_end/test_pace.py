"""The clock of a paced run jumps, so a slow machine does not change at which hour it sends and which caps apply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from zoneinfo import ZoneInfo

from bench.installation.one_process import Installation

POLICY = {
    "channels": {"sms": {"quiet_hours": {"from": "12:00", "to": "10:30"}}},
    "caps": [{"channel": "sms", "most": 1, "per": "1d"}],
}
TRACK = """
track: rehearsed
defaults: {sms: {from: '+15005550006'}}
steps:
  - {id: settle, wait: 2d}
  - id: days
    repeat:
      times: 4
      steps:
        - {id: morning, wait_until: {time: '11:00'}}
        - {id: text, sms: {text: '{{ "now" | local_time | date: "%H:%M" }}', hold: 12h}}
        - {id: reply, wait_for: {event: said, within: 30h, since: text}}
        - {id: note, crm: {note: It is quiet}}
        - {id: pause, wait: 1h}
"""


@asynccontextmanager
async def a_slow_machine() -> AsyncIterator[None]:
    """Block this process for a tenth of a second, repeatedly."""

    async def halt() -> None:
        while True:
            time.sleep(0.1)  # the machine is busy
            await asyncio.sleep(0.03)

    halting = asyncio.create_task(halt())
    try:
        yield
    finally:
        halting.cancel()
        with suppress(asyncio.CancelledError):
            await halting


async def test_on_a_slow_machine_every_paced_text_goes_out_at_the_hour_it_was_due(installation: Installation) -> None:
    """A tenth of a second is nine hours on this run's clock."""
    await installation.call("PUT", "/v1/policy", POLICY)
    await installation.publish("rehearsed", TRACK)
    phone = "+14155550163"
    await installation.call("PUT", "/v1/contacts/paced-1", {"phone": phone, "timezone": "America/New_York"})
    async with a_slow_machine():
        wish = {"track": "rehearsed", "contact_id": "paced-1", "pace": 86400 * 4}
        run = (await installation.call("POST", "/v1/enrollments", wish))["id"]
        ended = await installation.until(run, "completed")
    assert [(one["status"], one["reason"]) for one in ended["messages"]] == [("sent", "")] * 4
    assert [message["text"] for message in await installation.accepted(phone)] == ["11:00"] * 4
    local = [
        (entry["step"], f"{datetime.fromisoformat(entry['at']).astimezone(ZoneInfo('America/New_York')):%H:%M}")
        for entry in ended["path"]
        if entry["step"] not in ("settle", "days")
    ]
    times = [("morning", "11:00"), ("text", "11:00"), ("reply", "17:00"), ("note", "17:00"), ("pause", "18:00")]
    assert local == times * 4
