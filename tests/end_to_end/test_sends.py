"""Law 3: a message is never sent twice, whatever fails in between. Law 12: a fault affects only its own contact."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from activities.contract import QUEUE_EMAIL
from activities.sending import queue_rates
from activities.sending.direct_send import AT_ONCE
from bench.installation.fork_server import ForkServer
from bench.installation.one_process import (
    Installation,
    Servers,
    environment_of,
    installation_on,
    local_settings,
)
from infra.launch.process import Child
from tests.end_to_end.conftest import MAIL
from tests.support.forked import forked

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

QUIET = """
track: quiet
steps: [{id: mark, set: {attributes: {met: true}}}]
"""


async def enrolled(installation: Installation, contact_id: str, track: str = "careful", **contact: str) -> str:
    contact = {"email": f"{contact_id}@people.test"} | contact
    await installation.call("PUT", f"/v1/contacts/{contact_id}", contact)
    answer = await installation.call(
        "POST", "/v1/enrollments", {"track": track, "contact_id": contact_id, "pace": 86400}
    )
    return str(answer["id"])


async def test_an_email_accepted_by_a_provider_that_hangs_up_is_sent_once_and_known_as_sent(
    installation: Installation,
) -> None:
    await installation.publish("careful", TRACK)
    await installation.misbehave("ses", "drop_after", times=1, match="drop-1@")
    run = await enrolled(installation, "drop-1")
    ended = await installation.until(run, "completed")
    # if the callback comes before the broken connection is noticed, the outcome was never unknown
    assert [entry["outcome"] for entry in ended["path"]] in (["unknown", "sent"], ["sent"])
    assert len(await installation.accepted("drop-1@people.test")) == 1


async def test_a_text_accepted_by_a_provider_that_hangs_up_is_found_in_its_list(installation: Installation) -> None:
    await installation.publish("texting", TEXT)
    phone = "+14155550107"
    # otherwise a callback may settle it before the run asks
    await installation.misbehave("callback", "drop_before", times=None, match="/webhooks/twilio/")
    await installation.misbehave("twilio", "drop_after", times=1, match=phone)
    try:
        run = await enrolled(installation, "drop-2", "texting", phone=phone)
        ended = await installation.until(run, "completed")
    finally:
        await installation.sandbox.delete("/_control/faults")
    assert [entry["outcome"] for entry in ended["path"]] == ["unknown", "sent"]
    assert len(await installation.accepted(phone)) == 1


async def test_a_refused_contact_does_not_hold_up_its_neighbours(installation: Installation) -> None:
    await installation.publish("careful", TRACK)
    await installation.misbehave("ses", "429", times=3, retry_after=1, match="slow-1@")
    slow = await enrolled(installation, "slow-1")
    others = [await enrolled(installation, f"quick-{number}") for number in range(5)]
    for run in others:
        assert (await installation.until(run, "completed", seconds=20))["messages"][0]["status"] == "sent"
    assert (await installation.until(slow, "completed"))["messages"][0]["status"] == "sent"
    assert len(await installation.accepted("slow-1@people.test")) == 1


async def test_the_rate_of_a_queue_holds_for_what_goes_past_it(installation: Installation) -> None:
    await installation.publish("careful", TRACK)
    await queue_rates.write(installation.temporal, QUEUE_EMAIL, 4, "test")
    try:
        await asyncio.sleep(queue_rates.TRUSTED_FOR)
        runs = [await enrolled(installation, f"paced-{number}") for number in range(20)]
        ended = [await installation.until(run, "completed", seconds=40) for run in runs]
    finally:
        await queue_rates.write(installation.temporal, QUEUE_EMAIL, None, "test")
    settled = sorted(datetime.fromisoformat(one["messages"][0]["settled_at"]) for one in ended)
    # the server lets through almost twice its rate in the first second of a burst, and the worker has one to spare
    assert settled[-1] - settled[0] >= timedelta(seconds=(20 - 2 * 4 - 1) / 4 - 0.5)


async def test_a_provider_that_hangs_holds_up_nobody_who_needs_nothing_of_it(servers: Servers) -> None:
    async with installation_on(servers, provider_timeout=90) as installation:
        await installation.publish("hello", MAIL, "templates")
        await installation.publish("careful", TRACK)
        await installation.publish("quiet", QUIET)
        # it hangs until the faults are deleted, however long this machine takes to enrol
        await installation.misbehave("ses", "latency", seconds=90, times=None, match="hang-")
        try:
            slow = [await enrolled(installation, f"hang-{number}") for number in range(30)]
            async with asyncio.timeout(30):
                while len(await statuses(installation)) < AT_ONCE:
                    await asyncio.sleep(0.02)
            quiet = await enrolled(installation, "quiet-1", "quiet")
            await installation.until(quiet, "completed", seconds=20)
            assert set(await statuses(installation)) == {"sending"}
        finally:
            await installation.sandbox.delete("/_control/faults")
        for run in slow:
            assert (await installation.until(run, "completed", seconds=40))["messages"][0]["status"] == "sent"


async def statuses(installation: Installation) -> list[str]:
    """The statuses of all messages, from the database, because a run that is sending does not answer queries."""
    async with installation.database.transaction() as tx:
        return list((await tx.execute(text("SELECT status FROM message"))).scalars())


def start_worker(forks: ForkServer, servers: Servers, folder: Path) -> Child:
    """A worker process of its own, to be killed."""
    temporal = {"TEMPORAL_ADDRESS": servers.temporal_address, "TEMPORAL_NAMESPACE": servers.temporal_namespace}
    environment = os.environ | environment_of(local_settings(servers)) | temporal
    worker = forked(forks, "worker", "worker", log=folder / "worker.log", env=environment)
    worker.wait_ready(lambda: worker.said("worker started"), 60)
    return worker


@pytest.mark.timeout(180)
async def test_a_worker_killed_between_claim_and_settle_leaves_one_message(
    servers: Servers, tmp_path: Path, forks: ForkServer
) -> None:
    async with installation_on(servers, worker=False) as installation:
        await installation.publish("hello", MAIL, "templates")
        await installation.publish("careful", TRACK)
        # the provider accepts, but its answer comes after the worker's death
        await installation.misbehave("ses", "latency", seconds=5, times=1, match="kill-1@")
        worker = start_worker(forks, servers, tmp_path)
        try:
            run = await enrolled(installation, "kill-1")
            async with asyncio.timeout(30):
                while not (found := await installation.call("GET", f"/v1/enrollments/{run}"))["messages"]:
                    await asyncio.sleep(0.05)
            assert found["messages"][0]["status"] == "sending"
            await asyncio.sleep(0.5)  # the call has been sent
            os.kill(worker.pid, signal.SIGKILL)
        finally:
            worker.stop(0)
        second = start_worker(forks, servers, tmp_path)
        try:
            ended = await installation.until(run, "completed", seconds=90)
        finally:
            second.stop(5)
        assert len(await installation.accepted("kill-1@people.test")) == 1
        # A busy machine may ask the provider before it answers: then the outcome is unknown first.
        assert [entry["outcome"] for entry in ended["path"]] in (["sent"], ["unknown", "sent"])


async def test_a_webhook_that_is_tried_again_says_why_and_then_the_run_goes_on(installation: Installation) -> None:
    url = f"{installation.servers.sandbox_url}/hooks/busy"
    await installation.publish(
        "hooked", f"track: hooked\nsteps:\n  - id: hook\n    webhook: {{url: '{url}', give_up_after: 6s}}"
    )
    await installation.misbehave("webhook", "500", match="hook-1", times=None)
    run = await enrolled(installation, "hook-1", "hooked")
    async with asyncio.timeout(30):
        while (found := await installation.until(run, "doing webhook", "completed"))["trouble"] is None:
            assert found["status"] == "active", found
            await asyncio.sleep(0.1)
    assert found["trouble"].endswith("webhook:500"), found
    ended = await installation.until(run, "completed")
    assert [(entry["outcome"], entry["detail"]) for entry in ended["path"]] == [("failed", "webhook:500 for 6s")]
    assert ended["trouble"] is None
