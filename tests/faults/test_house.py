"""The processes of an installation are killed at random and asked to stop: laws 2, 3 and 7 still hold.

The long version is `perennial bench faults`. `bench.faults.records` compares the records.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from bench.faults.records import Received
from bench.faults.run import Result, one_round
from bench.installation.one_process import Stand
from tests.faults.conftest import Home

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

PEOPLE = 5
CALM = """
track: calm
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps: [{id: hello, email: {template: faults-mail}}]
"""
CALLING = """
track: calling
steps: [{id: tell, webhook: {url: 'SANDBOX/hooks/calling', payload: {}}}]
"""


async def test_kills_at_random_moments_lose_and_double_nothing(home: Home) -> None:
    lines: list[str] = []
    result = Result(seed=4)
    found = await one_round(
        home.house, home.stand, Received(), result, name="short", kills=3, rate=2, pause=1, say=lines.append
    )
    await home.stand.database.close()  # its connections were cut with the server
    assert found.broken == [], "\n".join(lines)
    assert result.killed == 3 and found.counts["contacts"] > 5 and found.counts["messages"] > 5


async def test_what_is_asked_to_stop_finishes_what_it_has_begun_and_takes_nothing_new(home: Home) -> None:
    stand, house = home.stand, home.house
    await stand.publish("calm", CALM)
    await stand.publish("calling", CALLING.replace("SANDBOX", stand.servers.sandbox_url))
    await stand.misbehave("ses", "latency", seconds=1.5, times=None, match="calm-")
    await stand.misbehave("webhook", "latency", seconds=1.8, times=None)
    calm = [await enrolled(stand, f"calm-{number}") for number in range(PEOPLE)]
    calling = await enrolled(stand, "calm-calling", "calling")
    await stand.until(calling, "doing webhook")
    stopping = asyncio.create_task(asyncio.to_thread(house.asked_to_end, "worker-1", grace=20))
    while "worker draining" not in house.log("worker-1").read_text():
        await asyncio.sleep(0.02)
    late = await enrolled(stand, "late-1")
    assert await stopping == [0]
    assert await asyncio.to_thread(house.asked_to_end, "relay", grace=20) == [0]
    assert (await seen(stand, late))["messages"] == []
    statuses = [message["status"] for run in calm for message in (await seen(stand, run))["messages"]]
    assert statuses and set(statuses) == {"sent"}
    await stand.sandbox.delete("/_control/faults")
    house.all_up()
    for run in (*calm, calling, late):
        ended = await stand.until(run, "completed")
        assert {entry["outcome"] for entry in ended["path"]} <= {"sent", "done"}
    for number in range(PEOPLE):
        assert len(await stand.accepted(f"calm-{number}@people.test")) == 1


async def test_clocks_that_jump_hold_nobody_up(home: Home) -> None:
    runs = []
    for number, offset in enumerate((7200, -7200, 0)):
        home.house.set_clock(offset)
        contact = f"jump-{number}"
        await home.stand.call(
            "PUT", f"/v1/contacts/{contact}", {"email": f"{contact}@people.test", "phone": f"+1415777000{number}"}
        )
        run = await home.stand.call("POST", "/v1/enrollments", {"track": "faults-reply", "contact_id": contact})
        runs.append(run["id"])
        event = {"event_id": f"{contact}-said", "contact_id": contact, "name": "said"}
        assert (await home.stand.call("POST", "/v1/events", event))["matched"] == 1
        await asyncio.sleep(0.2)  # the processes read the clock's file
    for run in runs:
        ended = await home.stand.until(run, "completed", seconds=30)
        assert [entry["outcome"] for entry in ended["path"]] == ["sent", "happened", "sent", "done"]


async def test_an_api_asked_to_stop_answers_what_it_has_begun(home: Home) -> None:
    await home.stand.call("PUT", "/v1/contacts/held-1", {})
    event = {"event_id": "held-e1", "contact_id": "held-1", "name": "irrelevant"}
    async with home.stand.database.transaction() as tx:
        await tx.execute(text("SELECT FROM contact WHERE id = 'held-1' FOR UPDATE"))
        asked = asyncio.create_task(home.stand.call("POST", "/v1/events", event))
        await waiting_for_a_lock(home.stand)
        stopping = asyncio.create_task(asyncio.to_thread(home.house.asked_to_end, "api", grace=15))
        await asyncio.sleep(3)  # longer than a web server usually allows
        assert not asked.done() and not stopping.done()
    assert (await asked)["duplicate"] is False
    assert await stopping == [0]
    async with home.stand.database.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM event WHERE event_id = 'held-e1'"))).scalar_one() == 1


async def enrolled(stand: Stand, contact: str, track: str = "calm") -> str:
    await stand.call("PUT", f"/v1/contacts/{contact}", {"email": f"{contact}@people.test"})
    found: dict[str, Any] = await stand.call("POST", "/v1/enrollments", {"track": track, "contact_id": contact})
    return str(found["id"])


async def seen(stand: Stand, run: str) -> dict[str, Any]:
    found: dict[str, Any] = await stand.call("GET", f"/v1/enrollments/{run}")
    return found


async def waiting_for_a_lock(stand: Stand) -> None:
    """Wait until a session waits for a lock in the database."""
    async with asyncio.timeout(20):
        while True:
            async with stand.database.transaction() as tx:
                if (await tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))).scalar_one():
                    return
            await asyncio.sleep(0.05)
