"""Law 3: a message is never sent twice, whatever dies in between; law 12: a fault touches that one contact only."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from bench.stand import PROJECT, Servers, Stand, environment_of, local_settings, stand_on
from infra.launch.process import Child
from tests.laws.conftest import MAIL

TRACK = """
track: careful
defaults: {email: {from: 'Ada <ada@acme.test>'}, sms: {from: '+15005550006'}}
steps:
  - {id: hello, email: {template: hello}}
"""
TEXT = """
track: texting
defaults: {sms: {from: '+15005550006'}}
steps:
  - {id: text, sms: {text: 'Hi {{ contact.id }}'}}
"""


async def enrolled(stand: Stand, contact_id: str, track: str = "careful", **contact: str) -> str:
    contact = {"email": f"{contact_id}@people.test"} | contact
    await stand.call("PUT", f"/v1/contacts/{contact_id}", contact)
    answer = await stand.call("POST", "/v1/enrollments", {"track": track, "contact_id": contact_id, "pace": 86400})
    return str(answer["id"])


async def test_an_email_accepted_by_a_provider_that_hangs_up_is_sent_once_and_known_as_sent(stand: Stand) -> None:
    await stand.publish("careful", TRACK)
    await stand.misbehave("ses", "drop_after", times=1, match="drop-1@")
    run = await enrolled(stand, "drop-1")
    ended = await stand.until(run, "completed")
    # where the callback comes before the broken connection is noticed, nobody was ever in doubt
    assert [entry["outcome"] for entry in ended["path"]] in (["unknown", "sent"], ["sent"])
    assert len(await stand.accepted("drop-1@people.test")) == 1


async def test_a_text_accepted_by_a_provider_that_hangs_up_is_found_in_its_list(stand: Stand) -> None:
    await stand.publish("texting", TEXT)
    phone = "+14155550107"
    # else one may settle it before anybody asks
    await stand.misbehave("callback", "drop_before", times=None, match="/webhooks/twilio/")
    await stand.misbehave("twilio", "drop_after", times=1, match=phone)
    try:
        run = await enrolled(stand, "drop-2", "texting", phone=phone)
        ended = await stand.until(run, "completed")
    finally:
        await stand.sandbox.delete("/_control/faults")
    assert [entry["outcome"] for entry in ended["path"]] == ["unknown", "sent"]
    assert len(await stand.accepted(phone)) == 1


async def test_a_refused_contact_does_not_hold_up_its_neighbours(stand: Stand) -> None:
    await stand.publish("careful", TRACK)
    await stand.misbehave("ses", "429", times=3, retry_after=1, match="slow-1@")
    slow = await enrolled(stand, "slow-1")
    others = [await enrolled(stand, f"quick-{number}") for number in range(5)]
    for run in others:
        assert (await stand.until(run, "completed", seconds=20))["messages"][0]["status"] == "sent"
    assert (await stand.until(slow, "completed"))["messages"][0]["status"] == "sent"
    assert len(await stand.accepted("slow-1@people.test")) == 1


def start_worker(servers: Servers, folder: Path) -> Child:
    """A worker process of its own, to be killed."""
    environment = os.environ | environment_of(local_settings(servers)) | {"TEMPORAL_ADDRESS": servers.temporal_address}
    command = [sys.executable, "-m", "cli", "worker"]
    worker = Child("worker", command, folder / "worker.log", env=environment, cwd=PROJECT)
    worker.wait_ready(lambda: worker.said("worker started"), 60)
    return worker


@pytest.mark.timeout(180)
async def test_a_worker_killed_between_claim_and_settle_leaves_one_message(servers: Servers, tmp_path: Path) -> None:
    async with stand_on(servers, worker=False) as stand:
        await stand.publish("hello", MAIL, "templates")
        await stand.publish("careful", TRACK)
        # the provider accepts, but its answer comes after the worker's death
        await stand.misbehave("ses", "latency", seconds=5, times=1, match="kill-1@")
        worker = start_worker(servers, tmp_path)
        try:
            run = await enrolled(stand, "kill-1")
            async with asyncio.timeout(30):
                while not (found := await stand.call("GET", f"/v1/enrollments/{run}"))["messages"]:
                    await asyncio.sleep(0.05)
            assert found["messages"][0]["status"] == "sending"
            await asyncio.sleep(0.5)  # the call is on its way
            os.kill(worker.pid, signal.SIGKILL)
        finally:
            worker.stop(0)
        second = start_worker(servers, tmp_path)
        try:
            ended = await stand.until(run, "completed", seconds=90)
        finally:
            second.stop(5)
        assert len(await stand.accepted("kill-1@people.test")) == 1
        assert [entry["outcome"] for entry in ended["path"]] == ["sent"]
