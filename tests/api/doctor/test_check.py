"""Every way of getting stuck is built for real, among healthy neighbours: it is named, and nothing else is."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

from pydantic import SecretStr
from sqlalchemy import text
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.contract import QUEUE_RUNS
from api.doctor.check import Check
from api.doctor.findings import Finding
from api.doctor.repair import Repair
from api.relay.outbox_relay import Relay
from api.temporal.connection import data_converter
from bench.installation.one_process import Installation, installation_on
from tests.api.doctor.doctor_calls import (
    HASTY,
    SLEEPY,
    checked,
    enrolled,
    is_started,
    named,
    repaired,
    sql,
    until,
    workers,
    workflow_of,
    working,
)
from tests.conftest import DevServer
from tests.end_to_end.conftest import MAIL
from tests.support.sandbox import Sandbox
from tests.support.servers import servers_of
from tracks.runs.run_interface import EndSignal, RunInput

AGED = "UPDATE enrollment SET started_at = now() - interval '1 h', created_at = now() - interval '1 h'"
QUICK = """
track: quick
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: pause, wait: 6h}
  - {id: hello, email: {template: hello}}
"""


async def test_a_busy_installation_without_a_fault_has_no_finding(installation: Installation) -> None:
    await installation.publish("quick", QUICK)
    patient = timedelta(seconds=5)
    at_once = replace(HASTY, start=timedelta(0), late=patient, outbox=patient, sending=patient)
    async with working(installation):

        async def live(number: int) -> None:
            await asyncio.sleep(number / 15)
            await installation.call("PUT", f"/v1/contacts/busy-{number}", {"email": f"busy-{number}@doctor.test"})
            wish = {"track": "quick", "contact_id": f"busy-{number}", "pace": 86400}
            await installation.until((await installation.call("POST", "/v1/enrollments", wish))["id"], "completed")

        lives = asyncio.gather(*(live(number) for number in range(10)))
        compared = 0
        while not lives.done():
            report = await checked(installation, at_once)
            compared += report.enrollments
            assert report.healthy, report.findings
            await asyncio.sleep(0.3)
        await lives
        assert compared > 5


@workflow.defn(name="NurtureTrack")
class Forgetful:
    """Runs that break law 7: they wait for nothing. `broken` does what the real code does not."""

    @workflow.run
    async def run(self, given: RunInput) -> None:
        if given.contact_id == "broken":
            await workflow.sleep(3600)
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def end(self, signal: EndSignal) -> None:
        """Ignored."""


async def test_runs_that_cannot_get_on_are_named_with_the_reason(installation: Installation) -> None:
    forgetful = Worker(
        installation.temporal,
        task_queue=QUEUE_RUNS,
        workflows=[Forgetful],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,
        build_id="forgetful",
    )
    async with workers([forgetful]), Relay(installation.database, installation.temporal):
        stuck, failing = await enrolled(installation, "stuck"), await enrolled(installation, "broken")
        await named(installation, ("holds-nothing", stuck))
    async with Relay(installation.database, installation.temporal):
        unserved = await enrolled(installation, "unserved")
        expected = [("holds-nothing", stuck), ("no-worker", unserved)]
        await named(installation, *expected)
    async with working(installation):
        await installation.until(unserved, "waiting")
        await installation.misbehave("ses", "429", times=1000, retry_after=1, match="refused@")
        refused = await enrolled(installation, "refused")
        # the present code does not replay that history
        await workflow_of(installation, "broken").signal("end", EndSignal(reason="x"))
        expected = [("holds-nothing", stuck), ("run-failing", failing), ("activity-late", refused)]
        report = await named(installation, *expected)
        assert "send_email" in report.of("activity-late")[0].detail
        assert not any(one.done for one in await repaired(installation, report))
        brief = await Check(installation.database, installation.temporal, HASTY).brief()
        assert sorted((it.kind, it.id) for it in brief.findings) == sorted(expected)


async def test_another_installations_temporal_is_recognised_and_nothing_called_lost(installation: Installation) -> None:
    async with working(installation):
        ours = await enrolled(installation, "ours")
        await installation.until(ours, "waiting")
        # as another database sees that server: its own run is elsewhere, and the run there belongs to no enrollment
        theirs = installation.temporal.get_workflow_handle("nurture/sleepy/ours")
        await sql(
            installation,
            "INSERT INTO enrollment (id, track, version, contact_id, key, workflow_id, origin, created_at, started_at) "
            "SELECT gen_random_uuid(), track, version, contact_id, 'moved', workflow_id || '/moved', origin, "
            "now() - interval '1 h', now() - interval '1 h' FROM enrollment",
        )
        for table in (
            "outbox",
            "message_links",
            "message_content",
            "touch",
            "path_entry",
            "effect",
            "message",
            "enrollment",
        ):
            where = "key <> 'moved'" if table == "enrollment" else "true"
            await sql(installation, f"DELETE FROM {table} WHERE {where}")
        report = await checked(installation)
        assert "other-temporal" in report.counts and "run-lost" not in report.counts, report.findings
        assert not any(one.done for one in await repaired(installation, report, "close"))
        found = await rows(installation, "SELECT status FROM enrollment")
        assert found == ["active"]
        await theirs.terminate()


async def rows(installation: Installation, query: str) -> list[Any]:
    async with installation.database.transaction() as tx:
        return list((await tx.execute(text(query))).scalars())


async def test_a_run_that_cannot_be_read_is_not_called_lost(
    postgres_url: str, temporal: DevServer, sandbox: Sandbox
) -> None:
    servers = servers_of(postgres_url, temporal, sandbox)
    key = SecretStr(base64.b64encode(bytes(32)).decode())
    keyless = await Client.connect(temporal.address, namespace=temporal.namespace, data_converter=data_converter(()))
    async with installation_on(servers, worker=False, provider_timeout=1, payload_keys=(key,)) as installation:
        await installation.publish("hello", MAIL, "templates")
        await installation.publish("sleepy", SLEEPY)
        async with working(installation):
            encrypted = await enrolled(installation, "encrypted")
            await installation.until(encrypted, "waiting")
            await sql(installation, AGED)
            await named(installation)
            assert (await Check(installation.database, keyless, HASTY).whole()).counts == {"runs-unreadable": 1}
        async with Relay(installation.database, keyless):  # a relay without keys
            plain = await enrolled(installation, "plain")
            await until(lambda: is_started(installation, plain))
        await sql(
            installation,
            "INSERT INTO enrollment (id, track, version, contact_id, workflow_id, origin, created_at, started_at) "
            "SELECT gen_random_uuid(), track, version, 'gone', 'gone', origin, created_at, now() "
            "FROM enrollment LIMIT 1",
        )
        await sql(installation, AGED)
        async with asyncio.timeout(25):  # visibility is slow
            while (report := await Check(installation.database, keyless, HASTY).whole(every_run=True)).runs < 2:
                await asyncio.sleep(0.2)
        assert report.counts.keys() - {"no-worker", "no-leader"} == {"runs-unreadable", "run-lost"}
        assert [finding.workflow_id for finding in report.of("run-lost")] == ["gone"]
        # it is not closed either if the doctor could not read its run
        report.findings = [Finding("run-lost", encrypted, "", "nurture/sleepy/encrypted", encrypted)]
        [answer] = await Repair(installation.database, keyless, AsyncMock(), "close").all(report)
        assert not answer.done
        async for run in installation.temporal.list_workflows("ExecutionStatus = 'Running'"):
            await installation.temporal.get_workflow_handle(run.id).terminate()
