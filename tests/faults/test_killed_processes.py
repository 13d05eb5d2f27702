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
from bench.installation.one_process import Installation
from tests.faults.conftest import FaultyInstallation

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


async def test_kills_at_random_moments_lose_and_double_nothing(faulty: FaultyInstallation) -> None:
    lines: list[str] = []
    result = Result(seed=4)
    found = await one_round(
        faulty.processes,
        faulty.installation,
        Received(),
        result,
        name="short",
        kills=3,
        rate=2,
        pause=1,
        say=lines.append,
    )
    await faulty.installation.database.close()  # its connections were cut with the server
    assert found.broken == [], "\n".join(lines)
    assert result.killed == 3 and found.counts["contacts"] > 5 and found.counts["messages"] > 5


async def test_what_is_asked_to_stop_finishes_what_it_has_begun_and_takes_nothing_new(
    faulty: FaultyInstallation,
) -> None:
    installation, processes = faulty.installation, faulty.processes
    await installation.publish("calm", CALM)
    await installation.publish("calling", CALLING.replace("SANDBOX", installation.servers.sandbox_url))
    await installation.misbehave("ses", "latency", seconds=1.5, times=None, match="calm-")
    await installation.misbehave("webhook", "latency", seconds=1.8, times=None)
    calm = [await enrolled(installation, f"calm-{number}") for number in range(PEOPLE)]
    calling = await enrolled(installation, "calm-calling", "calling")
    await installation.until(calling, "doing webhook")
    stopping = asyncio.create_task(asyncio.to_thread(processes.asked_to_end, "worker-1", grace=20))
    while "worker draining" not in processes.log("worker-1").read_text():
        await asyncio.sleep(0.02)
    late = await enrolled(installation, "late-1")
    assert await stopping == [0]
    assert await asyncio.to_thread(processes.asked_to_end, "relay", grace=20) == [0]
    assert (await seen(installation, late))["messages"] == []
    statuses = [message["status"] for run in calm for message in (await seen(installation, run))["messages"]]
    assert statuses and set(statuses) == {"sent"}
    await installation.sandbox.delete("/_control/faults")
    processes.all_up()
    for run in (*calm, calling, late):
        ended = await installation.until(run, "completed")
        assert {entry["outcome"] for entry in ended["path"]} <= {"sent", "done"}
    for number in range(PEOPLE):
        assert len(await installation.accepted(f"calm-{number}@people.test")) == 1


async def test_clocks_that_jump_hold_nobody_up(faulty: FaultyInstallation) -> None:
    runs = []
    for number, offset in enumerate((7200, -7200, 0)):
        faulty.processes.set_clock(offset)
        contact = f"jump-{number}"
        await faulty.installation.call(
            "PUT", f"/v1/contacts/{contact}", {"email": f"{contact}@people.test", "phone": f"+1415777000{number}"}
        )
        run = await faulty.installation.call(
            "POST", "/v1/enrollments", {"track": "faults-reply", "contact_id": contact}
        )
        runs.append(run["id"])
        event = {"event_id": f"{contact}-said", "contact_id": contact, "name": "said"}
        assert (await faulty.installation.call("POST", "/v1/events", event))["matched"] == 1
        await asyncio.sleep(0.2)  # the processes read the clock's file
    for run in runs:
        ended = await faulty.installation.until(run, "completed", seconds=30)
        assert [entry["outcome"] for entry in ended["path"]] == ["sent", "happened", "sent", "done"]


async def test_an_api_asked_to_stop_answers_what_it_has_begun(faulty: FaultyInstallation) -> None:
    await faulty.installation.call("PUT", "/v1/contacts/held-1", {})
    event = {"event_id": "held-e1", "contact_id": "held-1", "name": "irrelevant"}
    async with faulty.installation.database.transaction() as tx:
        await tx.execute(text("SELECT FROM contact WHERE id = 'held-1' FOR UPDATE"))
        asked = asyncio.create_task(faulty.installation.call("POST", "/v1/events", event))
        await waiting_for_a_lock(faulty.installation)
        stopping = asyncio.create_task(asyncio.to_thread(faulty.processes.asked_to_end, "api", grace=15))
        await asyncio.sleep(3)  # longer than a web server usually allows
        assert not asked.done() and not stopping.done()
    assert (await asked)["duplicate"] is False
    assert await stopping == [0]
    async with faulty.installation.database.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM event WHERE event_id = 'held-e1'"))).scalar_one() == 1


async def enrolled(installation: Installation, contact: str, track: str = "calm") -> str:
    await installation.call("PUT", f"/v1/contacts/{contact}", {"email": f"{contact}@people.test"})
    found: dict[str, Any] = await installation.call("POST", "/v1/enrollments", {"track": track, "contact_id": contact})
    return str(found["id"])


async def seen(installation: Installation, run: str) -> dict[str, Any]:
    found: dict[str, Any] = await installation.call("GET", f"/v1/enrollments/{run}")
    return found


async def waiting_for_a_lock(installation: Installation) -> None:
    """Wait until a session waits for a lock in the database."""
    async with asyncio.timeout(20):
        while True:
            async with installation.database.transaction() as tx:
                if (await tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))).scalar_one():
                    return
            await asyncio.sleep(0.05)
