"""Each kind of finding is made for real among healthy runs. The doctor must report only it, and repair it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typer.testing import CliRunner, Result

from activities.contract import QUEUE_RUNS, ReconcileCall
from activities.registry import build_activities
from api.doctor.check import Check
from api.doctor.findings import Finding, Report
from api.doctor.periodic_check import CHORE, Rounds
from api.doctor.repair import Lost, Repair, Repaired
from api.doctor.time_limits import TimeLimits
from api.relay.relay import Relay
from api.temporal.connection import data_converter
from bench.installation.one_process import Servers, Stand, stand_on
from cli.main import app
from infra.launch.ports import any_free
from infra.launch.temporal import Temporal
from settings import get_settings
from store.engine import periodic_jobs
from store.engine.sql import utc_now
from store.operations import doctor
from tests.laws.conftest import MAIL
from tests.support.sandbox import Sandbox
from tracks.program.run import EndSignal, RunInput
from worker import build_workers

SLEEPY = """
track: sleepy
goal: {event: bought}
defaults: {email: {from: 'Ada <ada@acme.test>'}, sms: {from: '+15005550006'}}
steps:
  - {id: hello, email: {template: hello}}
  - {id: settle, wait: 30d}
  - {id: again, email: {template: hello}}
"""
TEXTING = """
track: texting
defaults: {sms: {from: '+15005550006'}}
steps:
  - {id: text, sms: {text: 'Hi {{ contact.id }}'}}
  - {id: settle, wait: 30d}
"""
AGED = "UPDATE enrollment SET started_at = now() - interval '1 h', created_at = now() - interval '1 h'"
MOMENT = timedelta(seconds=1)
HASTY = TimeLimits(
    outbox=MOMENT,
    start=MOMENT,
    late=MOMENT,
    worker=timedelta(seconds=2),
    activity=timedelta(seconds=2),
    failures=2,
    sending=MOMENT,
    unknown=timedelta(minutes=1),
    deferred=MOMENT,
    touch=MOMENT,
)
"""Short time limits. Healthy runs must not be reported even with these."""


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Temporal]:
    """A server without the runs of other tests: their enrollments are in other databases."""
    folder = tmp_path_factory.mktemp("temporal")
    server = Temporal(any_free(), log=folder / "temporal.log", file=folder / "temporal.db")
    server.start()
    yield server
    server.stop(0)


@pytest.fixture
async def stand(postgres_url: str, temporal: Temporal, sandbox: Sandbox) -> AsyncIterator[Stand]:
    """The API alone; tests run workers and relays beside it as they need them."""
    servers = Servers(postgres_url, temporal.address, sandbox.url, sandbox.callback_port, sandbox.twilio_auth_token)
    async with stand_on(servers, worker=False, provider_timeout=1) as opened:
        await opened.publish("hello", MAIL, "templates")
        await opened.publish("sleepy", SLEEPY)
        yield opened
        async for run in opened.temporal.list_workflows("ExecutionStatus = 'Running'"):
            await opened.temporal.get_workflow_handle(run.id).terminate()


@asynccontextmanager
async def working(stand: Stand) -> AsyncIterator[None]:
    """Workers and a relay."""
    activities = build_activities(stand.settings, stand.database)
    try:
        built = build_workers(stand.temporal, activities, stand.settings)
        async with workers(built), Relay(stand.database, stand.temporal):
            yield
    finally:
        await activities.close()


@asynccontextmanager
async def workers(built: list[Worker]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run()) for worker in built]
    try:
        yield
    finally:
        await asyncio.gather(*(worker.shutdown() for worker in built))
        await asyncio.gather(*tasks)


async def enrolled(stand: Stand, contact_id: str, track: str = "sleepy", **contact: str) -> str:
    await stand.call("PUT", f"/v1/contacts/{contact_id}", {"email": f"{contact_id}@doctor.test"} | contact)
    return str((await stand.call("POST", "/v1/enrollments", {"track": track, "contact_id": contact_id}))["id"])


async def sql(stand: Stand, statement: str, **values: Any) -> None:
    async with stand.database.transaction() as tx:
        await tx.execute(text(statement), values)


async def until(what: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await what():
            await asyncio.sleep(0.05)


async def checked(stand: Stand, limits: TimeLimits = HASTY, *, every_run: bool = False) -> Report:
    return await Check(stand.database, stand.temporal, limits).whole(every_run=every_run)


async def named(stand: Stand, *expected: tuple[str, str], limits: TimeLimits = HASTY) -> Report:
    """Wait until the report names exactly these, by kind and id. Visibility and time limits delay it."""
    report = Report()
    try:
        async with asyncio.timeout(25):
            while True:
                report = await checked(stand, limits)
                if sorted((it.kind, it.id) for it in report.findings) == sorted(expected):
                    return report
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"expected {sorted(expected)}, found {report.findings}")


async def repaired(stand: Stand, report: Report, lost: Lost = "leave") -> list[Repaired]:
    activities = build_activities(stand.settings, stand.database)

    async def settle(message_id: str) -> str:
        found = await activities.reconcile.reconcile_message(ReconcileCall(message_id=message_id, settle="assume_sent"))
        return found.outcome

    try:
        return await Repair(stand.database, stand.temporal, settle, lost).all(report)
    finally:
        await activities.close()


async def sent_once(stand: Stand, *contacts: str) -> None:
    for contact in contacts:
        assert len(await stand.accepted(f"{contact}@doctor.test")) == 1, contact


def workflow_of(stand: Stand, contact_id: str, track: str = "sleepy") -> Any:
    return stand.temporal.get_workflow_handle(f"nurture/{track}/{contact_id}")


QUICK = """
track: quick
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: pause, wait: 6h}
  - {id: hello, email: {template: hello}}
"""


async def test_a_busy_house_without_a_sickness_has_no_finding(stand: Stand) -> None:
    await stand.publish("quick", QUICK)
    patient = timedelta(seconds=5)
    at_once = replace(HASTY, start=timedelta(0), late=patient, outbox=patient, sending=patient)
    async with working(stand):

        async def live(number: int) -> None:
            await asyncio.sleep(number / 15)
            await stand.call("PUT", f"/v1/contacts/busy-{number}", {"email": f"busy-{number}@doctor.test"})
            wish = {"track": "quick", "contact_id": f"busy-{number}", "pace": 86400}
            await stand.until((await stand.call("POST", "/v1/enrollments", wish))["id"], "completed")

        lives = asyncio.gather(*(live(number) for number in range(10)))
        compared = 0
        while not lives.done():
            report = await checked(stand, at_once)
            compared += report.enrollments
            assert report.healthy, report.findings
            await asyncio.sleep(0.3)
        await lives
        assert compared > 5


async def test_runs_and_enrollments_that_came_apart_are_named_and_put_right(stand: Stand) -> None:
    names = ["well", "terminated", "deleted", "unended", "deaf", "restored"]
    async with working(stand):
        ids = {name: await enrolled(stand, name) for name in names}
        for enrollment in ids.values():
            await stand.until(enrollment, "waiting")
        await named(stand)

        await workflow_of(stand, "terminated").terminate()
        lost = workflow_of(stand, "deleted")
        await lost.terminate()
        await sql(stand, "UPDATE enrollment SET workflow_id = workflow_id || '/gone' WHERE id = :id", id=ids["deleted"])
        # a goal without its outbox row, an enrollment closed while its run lives, a database restored to yesterday
        await sql(
            stand, "UPDATE enrollment SET goal_reached_at = now() - interval '1 h' WHERE id = :id", id=ids["deaf"]
        )
        closed = "UPDATE enrollment SET status = 'exited', ended_at = now() - interval '1 h' WHERE id = :id"
        await sql(stand, closed, id=ids["unended"])
        await workflow_of(stand, "restored").signal("end", EndSignal(reason="moved-away"))
        await stand.until(ids["restored"], "exited")
        opened = "UPDATE enrollment SET status = 'active', ended_at = NULL, exit_reached_at = NULL WHERE id = :id"
        await sql(stand, opened, id=ids["restored"])
        unstarted = await enrolled(stand, "unstarted")
        await stand.until(unstarted, "waiting")
        await sql(stand, "UPDATE enrollment SET started_at = NULL WHERE id = :id", id=unstarted)
        await sql(stand, "DELETE FROM outbox WHERE enrollment_id = :id", id=unstarted)
        await workflow_of(stand, "unstarted").terminate()

        report = await named(
            stand,
            ("run-ended", ids["terminated"]),
            ("run-lost", ids["deleted"]),
            ("run-unended", ids["unended"]),
            ("run-deaf", ids["deaf"]),
            ("run-ended", ids["restored"]),
            ("lost-start", unstarted),
        )
        answers = await repaired(stand, report)
        assert {it.finding.id for it in answers if not it.done} == {ids["deleted"]}
        report = await named(stand, ("run-lost", ids["deleted"]))
        await repaired(stand, report, "restart")
        await named(stand)

        found = {name: await stand.call("GET", f"/v1/enrollments/{ids[name]}") for name in names}
        ends = {name: (it["status"], it["end_reason"]) for name, it in found.items() if it["ended_at"]}
        assert ends == {
            "terminated": ("exited", "run terminated"),
            "restored": ("exited", "moved-away"),
            "deaf": ("converted", "goal"),
            "unended": ("exited", None),
        }
        for again in (unstarted, ids["deleted"]):
            assert [step["step"] for step in (await stand.until(again, "waiting"))["path"]] == ["hello"]
        await sent_once(stand, *names, "unstarted")


async def test_whatever_waits_too_long_is_named_and_settled_without_sending_again(stand: Stand) -> None:
    await stand.publish("texting", TEXTING)
    phone = "+14155550611"
    async with working(stand):
        healthy = await enrolled(stand, "steady")
        await stand.until(healthy, "waiting")
        # otherwise a callback may settle it before the doctor asks
        await stand.misbehave("callback", "drop_before", times=None, match="/webhooks/twilio/")
        await stand.misbehave("ses", "drop_after", times=1, match="hangs-up@")
        await stand.misbehave("twilio", "drop_after", times=1, match=phone)
        try:
            email, texted = await enrolled(stand, "hangs-up"), await enrolled(stand, "texted", "texting", phone=phone)
            await stand.until(email, "reconciling", "waiting")
            await stand.until(texted, "reconciling")
        finally:
            await stand.sandbox.delete("/_control/faults")
        for name, track in (("hangs-up", "sleepy"), ("texted", "texting")):
            await workflow_of(stand, name, track).terminate()
        late = await enrolled(stand, "late")
        await stand.until(late, "waiting")
        await until(lambda: told_of_emails(stand))  # a later event of SES would settle the messages made below
    waiting = await enrolled(stand, "accepted")
    await sql(stand, "UPDATE outbox SET attempts = 3, reason = 'UNAVAILABLE' WHERE enrollment_id = :id", id=waiting)
    # the providers' callbacks never came, and one claim's owner was killed
    lost = "UPDATE message SET status = :status, provider_id = NULL, settled_at = NULL, reason = '' "
    await sql(stand, lost + "WHERE enrollment_id = :id", id=email, status="sending")
    await sql(stand, lost + "WHERE enrollment_id = :id", id=texted, status="unknown")
    ids = await messages_of(stand)
    await sql(
        stand,
        "UPDATE message SET status = 'deferred', due_at = now() - interval '1 h' WHERE enrollment_id = :id",
        id=late,
    )
    await sql(
        stand,
        "INSERT INTO touch (message_id, kind, by, at, due_at) SELECT id, 'open', 'human', now(), now() - interval '1 h'"
        " FROM message WHERE enrollment_id = :id",
        id=late,
    )
    async with stand.database.transaction() as tx:
        (row,) = (await doctor.undelivered(tx, utc_now(), 10))[1]
        (touch,) = (await doctor.held_touches(tx, utc_now(), 10))[1]
        (deferred,) = (await doctor.deferred(tx, utc_now(), 10))[1]
    expected = [
        ("no-leader", ""),
        ("outbox-late", str(row.id)),
        ("run-ended", email),
        ("run-ended", texted),
        ("message-stuck", ids[email]),
        ("message-stuck", ids[texted]),
        ("message-overdue", deferred.id),
        ("touch-late", touch.id),
    ]
    report = await named(stand, *expected)
    assert report.of("outbox-late")[0].detail.endswith("3 attempts: UNAVAILABLE")
    done = {it.finding.id: it.words for it in await repaired(stand, report) if it.done}
    assert (done[ids[email]], done[ids[texted]]) == ("sent", "sent")
    found = (await stand.call("GET", f"/v1/enrollments/{texted}"))["messages"]
    assert (found[0]["status"], found[0]["reason"]) == ("sent", "")  # Twilio's list has it: nothing is assumed
    await sql(stand, "UPDATE message SET status = 'sent' WHERE enrollment_id = :id", id=late)
    await sql(stand, "UPDATE touch SET due_at = NULL")
    async with working(stand):
        await stand.until(waiting, "waiting")
        await named(stand)
    await sent_once(stand, "steady", "hangs-up", "late", "accepted")
    assert len(await stand.accepted(phone)) == 1


async def told_of_emails(stand: Stand) -> bool:
    query = "SELECT count(*) FROM message WHERE channel = 'email' AND delivery IS DISTINCT FROM 'delivered'"
    async with stand.database.transaction() as tx:
        return bool((await tx.execute(text(query))).scalar_one() == 0)


async def messages_of(stand: Stand) -> dict[str, str]:
    async with stand.database.transaction() as tx:
        return {row.run: row.id for row in await tx.execute(text("SELECT id, enrollment_id AS run FROM message"))}


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


async def test_runs_that_cannot_get_on_are_named_with_the_reason(stand: Stand) -> None:
    forgetful = Worker(
        stand.temporal,
        task_queue=QUEUE_RUNS,
        workflows=[Forgetful],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,
        build_id="forgetful",
    )
    async with workers([forgetful]), Relay(stand.database, stand.temporal):
        stuck, failing = await enrolled(stand, "stuck"), await enrolled(stand, "broken")
        await named(stand, ("holds-nothing", stuck))
    async with Relay(stand.database, stand.temporal):
        unserved = await enrolled(stand, "unserved")
        expected = [("holds-nothing", stuck), ("no-worker", unserved)]
        await named(stand, *expected)
    async with working(stand):
        await stand.until(unserved, "waiting")
        await stand.misbehave("ses", "429", times=1000, retry_after=1, match="refused@")
        refused = await enrolled(stand, "refused")
        # the present code does not replay that history
        await workflow_of(stand, "broken").signal("end", EndSignal(reason="x"))
        expected = [("holds-nothing", stuck), ("run-failing", failing), ("activity-late", refused)]
        report = await named(stand, *expected)
        assert "send_email" in report.of("activity-late")[0].detail
        assert not any(one.done for one in await repaired(stand, report))
        brief = await Check(stand.database, stand.temporal, HASTY).brief()
        assert sorted((it.kind, it.id) for it in brief.findings) == sorted(expected)


async def test_a_terminated_run_is_noticed_by_the_rounds_and_shown_as_figures(stand: Stand) -> None:
    rounds = Rounds(stand.database, stand.temporal, timedelta(minutes=5), HASTY)
    async with working(stand):
        one, two = await enrolled(stand, "one"), await enrolled(stand, "two")
        for each in (one, two):
            await stand.until(each, "waiting")
        await workflow_of(stand, "one").terminate()

        async def noticed() -> bool:
            async with stand.database.transaction() as tx:
                await periodic_jobs.again(tx, CHORE, utc_now())
            report = await rounds.look_if_due()
            return report is not None and [(it.kind, it.id) for it in report.findings] == [("run-ended", one)]

        await until(noticed)
        assert await rounds.look_if_due() is None  # not yet due
    figures = (await stand.api.get("/metrics")).text.splitlines()
    assert 'perennial_doctor_findings{kind="run-ended"} 1.0' in figures
    assert 'perennial_doctor_findings{kind="run-lost"} 0.0' in figures
    (age,) = [float(line.split()[1]) for line in figures if line.startswith("perennial_doctor_seconds ")]
    assert 0 <= age < 60


async def test_the_command_names_repairs_and_ends_with_a_status(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", stand.servers.database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", stand.servers.temporal_address)
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path))

    async def perennial(*words: str) -> Result:
        get_settings.cache_clear()
        try:
            return await asyncio.to_thread(CliRunner().invoke, app, ["doctor", *words])
        finally:
            get_settings.cache_clear()

    async with Relay(stand.database, stand.temporal):
        well = await perennial()
        assert well.exit_code == 0
        assert "✓ Nothing is stuck: 0 live enrolments, 0 live runs, 0 looked into.\n" in well.stdout
        unstarted = await enrolled(stand, "left-behind")
        await until(lambda: is_started(stand, unstarted))
        assert "1 live enrolments (1 too young to be compared), " in (await perennial()).stdout
        forget = "UPDATE enrollment SET started_at = NULL, created_at = now() - interval '1 h' WHERE id = :id"
        await sql(stand, forget, id=unstarted)
        sick = await perennial()
        assert sick.exit_code == 1
        assert "Enrolments that nothing will start: 1" in sick.stdout
        assert f"nurture/sleepy/left-behind {unstarted}" in sick.stdout
        mended = await perennial("--repair", "--json")
        said = mended.stdout  # the relay of this process logs there too
        told = json.loads(said[said.index("\n{\n") if said[0] != "{" else 0 : said.rindex("\n}\n") + 2])
        assert (mended.exit_code, [group["kind"] for group in told["groups"]]) == (0, ["lost-start"])
        assert [one["done"] for one in told["repairs"]] == [True]
        await until(lambda: is_started(stand, unstarted))
    assert (await perennial("--repair", "--lost", "perhaps")).exit_code == 1


async def test_another_installations_temporal_is_recognised_and_nothing_called_lost(stand: Stand) -> None:
    async with working(stand):
        ours = await enrolled(stand, "ours")
        await stand.until(ours, "waiting")
        # as another database sees that server: its own run is elsewhere, and the run there belongs to no enrollment
        theirs = stand.temporal.get_workflow_handle("nurture/sleepy/ours")
        await sql(
            stand,
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
            await sql(stand, f"DELETE FROM {table} WHERE {where}")
        report = await checked(stand)
        assert "other-temporal" in report.counts and "run-lost" not in report.counts, report.findings
        assert not any(one.done for one in await repaired(stand, report, "close"))
        found = await rows(stand, "SELECT status FROM enrollment")
        assert found == ["active"]
        await theirs.terminate()


async def rows(stand: Stand, query: str) -> list[Any]:
    async with stand.database.transaction() as tx:
        return list((await tx.execute(text(query))).scalars())


async def is_started(stand: Stand, enrollment_id: str) -> bool:
    return (await stand.call("GET", f"/v1/enrollments/{enrollment_id}"))["started_at"] is not None


async def test_a_run_that_cannot_be_read_is_not_called_lost(
    postgres_url: str, temporal: Temporal, sandbox: Sandbox
) -> None:
    servers = Servers(postgres_url, temporal.address, sandbox.url, sandbox.callback_port, sandbox.twilio_auth_token)
    key = SecretStr(base64.b64encode(bytes(32)).decode())
    keyless = await Client.connect(temporal.address, data_converter=data_converter(()))
    async with stand_on(servers, worker=False, provider_timeout=1, payload_keys=(key,)) as stand:
        await stand.publish("hello", MAIL, "templates")
        await stand.publish("sleepy", SLEEPY)
        async with working(stand):
            encrypted = await enrolled(stand, "encrypted")
            await stand.until(encrypted, "waiting")
            await sql(stand, AGED)
            await named(stand)
            assert (await Check(stand.database, keyless, HASTY).whole()).counts == {"runs-unreadable": 1}
        async with Relay(stand.database, keyless):  # a relay without keys
            plain = await enrolled(stand, "plain")
            await until(lambda: is_started(stand, plain))
        await sql(
            stand,
            "INSERT INTO enrollment (id, track, version, contact_id, workflow_id, origin, created_at, started_at) "
            "SELECT gen_random_uuid(), track, version, 'gone', 'gone', origin, created_at, now() "
            "FROM enrollment LIMIT 1",
        )
        await sql(stand, AGED)
        async with asyncio.timeout(25):  # visibility is slow
            while (report := await Check(stand.database, keyless, HASTY).whole(every_run=True)).runs < 2:
                await asyncio.sleep(0.2)
        assert report.counts.keys() - {"no-worker", "no-leader"} == {"runs-unreadable", "run-lost"}
        assert [finding.workflow_id for finding in report.of("run-lost")] == ["gone"]
        # it is not closed either if the doctor could not read its run
        report.findings = [Finding("run-lost", encrypted, "", "nurture/sleepy/encrypted", encrypted)]
        [answer] = await Repair(stand.database, keyless, AsyncMock(), "close").all(report)
        assert not answer.done
        async for run in stand.temporal.list_workflows("ExecutionStatus = 'Running'"):
            await stand.temporal.get_workflow_handle(run.id).terminate()
