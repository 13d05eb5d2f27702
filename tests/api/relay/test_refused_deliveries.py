"""Deliveries that Temporal refuses for good are set aside and reported; they block nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.doctor.check import Check
from api.doctor.findings import Report
from api.doctor.repair import Repair, Word
from api.relay.outbox_relay import Relay
from infra.launch import temporal as launch
from infra.launch.ports import any_free
from infra.launch.temporal import Temporal
from store.engine.database import Database
from store.people import erasure
from store.runs.enrollments import enrollments
from store.runs.outbox import outbox, refused_deliveries
from store.schema.rows import Enrollment
from tests.api.doctor.doctor_calls import HASTY
from tests.api.relay.relay_calls import drops, settled
from tests.support.enrolling import accept_event, enroll, publish, upsert_contact
from tracks.runs.run_interface import TASK_QUEUE, RunInput

MOST_SIGNALS = 5
TRACK = """
track: patient
reentry: always
goal: {event: bought}
steps:
  - id: reply
    wait_for:
      event: said
      within: 30d
      since: enrollment
      then:
        - id: which
          branch:
            - {when: 'event.properties.plan == "team" && event.properties.text != ""', steps: []}
  - id: rest
    wait: 30d
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Temporal]:
    """A server whose runs take only five signals."""
    with pytest.MonkeyPatch.context() as patch:
        few = {"history.maximumSignalsPerExecution": str(MOST_SIGNALS)}
        patch.setattr(launch, "SERVER_SETTINGS", launch.SERVER_SETTINGS | few)  # type: ignore[operator]
        started = Temporal(any_free(), log=tmp_path_factory.mktemp("temporal") / "temporal.log")
        started.start()
    yield started
    started.stop(grace=0)


@pytest.fixture
async def client(server: Temporal) -> AsyncIterator[Client]:
    connected = await Client.connect(server.address, data_converter=pydantic_data_converter)
    yield connected
    async for run in connected.list_workflows("ExecutionStatus = 'Running'"):
        await connected.get_workflow_handle(run.id).terminate()


async def sql(database: Database, statement: str, **values: Any) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(statement), values)


async def entered(database: Database, track: str, who: str) -> str:
    await upsert_contact(database, who)
    found = (await enroll(database, track, who)).enrollment
    assert found is not None
    return found.id


async def enrollment(database: Database, which: str) -> Enrollment:
    async with database.transaction() as tx:
        found = await enrollments.get(tx, which)
    assert found is not None
    return found


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await what():
            await asyncio.sleep(0.1)


async def looked(database: Database, client: Client) -> Report:
    return await Check(database, client, HASTY).brief()


async def repaired(database: Database, client: Client, kind: str, word: Word) -> list[tuple[bool, str]]:
    report = await looked(database, client)
    assert report.of(kind), report.findings

    async def settle(_: str) -> str:
        raise AssertionError("no message is to be settled")

    done = await Repair(database, client, settle, word=word).all(report)
    return [(one.done, one.words) for one in done if one.finding.kind == kind]


async def set_aside(database: Database) -> list[tuple[str, str, int]]:
    async with database.transaction() as tx:
        return await refused_deliveries.counts(tx)


async def test_a_start_that_can_never_be_is_set_aside_and_its_enrollment_says_so(
    database: Database, client: Client
) -> None:
    track = await publish(database, TRACK)
    never = await entered(database, track, "c-1")
    await sql(database, "UPDATE enrollment SET workflow_id = :id", id="nurture/patient/" + "%E4%BD%A0" * 110)
    well = await entered(database, track, "c-2")
    await accept_event(database, "c-1", "said", "e-1")
    async with database.transaction() as tx:
        assert await enrollments.request_end(tx, well, "ended-by-api")
    async with Relay(database, client):
        await settled(database)
        found = await enrollment(database, never)
        assert (found.status, found.end_reason) == ("exited", "start refused: name too long")
        assert (await enrollment(database, well)).started_at is not None
        assert await drops(database) == {"late": 1}  # the event for that run
        assert await set_aside(database) == [("start", "name too long", 1)]

        (finding,) = (await looked(database, client)).of("delivery-refused")
        assert finding.enrollment_id == never
        assert "exceeds maximum allowed length" in finding.detail and "its enrollment is closed" in finding.detail
        assert await repaired(database, client, "delivery-refused", "leave") == [
            (False, "left to you: --refused again or --refused drop")
        ]
        # Until something changes it is refused again; then it is delivered.
        assert await repaired(database, client, "delivery-refused", "again") == [(True, "in the outbox again")]
        await until(lambda: is_set_aside(database))
        assert (await enrollment(database, never)).status == "exited"
        await sql(database, "UPDATE enrollment SET workflow_id = 'nurture/patient/c-1' WHERE id = :id", id=never)
        await repaired(database, client, "delivery-refused", "again")
        await settled(database)
        found = await enrollment(database, never)
        assert (found.status, found.end_reason, found.ended_at) == ("active", None, None)
        assert found.started_at is not None and found.exit_reached_at is None
        described = await client.get_workflow_handle("nurture/patient/c-1").describe()
        assert described.status == WorkflowExecutionStatus.RUNNING
    assert await set_aside(database) == []


async def is_set_aside(database: Database) -> bool:
    return await set_aside(database) != []


async def test_one_that_is_given_up_is_counted(database: Database, client: Client) -> None:
    track = await publish(database, TRACK)
    await entered(database, track, "c-1")
    await sql(database, "UPDATE enrollment SET workflow_id = repeat('x', 1001)")
    async with Relay(database, client):
        await settled(database)
        assert await repaired(database, client, "delivery-refused", "drop") == [(True, "given up")]
        assert (await looked(database, client)).of("delivery-refused") == []
    assert await drops(database) == {"refused": 1}


@pytest.mark.parametrize("size", [2_100_000, 3_000_000, 4_500_000])
async def test_an_event_accepted_before_it_was_bounded_does_not_stand_in_the_way(
    database: Database, client: Client, size: int
) -> None:
    track = await publish(database, TRACK.replace("patient", f"huge-{size}"))
    which = await entered(database, track, "c-1")
    await accept_event(database, "c-1", "said", "e-1", plan="team", text="short")
    grown = "UPDATE outbox SET payload = jsonb_set(payload, '{properties,text}', to_jsonb(repeat('x', :size)))"
    await sql(database, f"{grown} WHERE kind = 'event'", size=size)
    await accept_event(database, "c-1", "bought", "e-2")
    async with database.transaction() as tx:
        await enrollments.request_end(tx, which, "ended-by-api")
    async with Relay(database, client):
        await settled(database)
    history = await client.get_workflow_handle(f"nurture/huge-{size}/c-1").fetch_history()
    told = [
        json.loads(event.workflow_execution_signaled_event_attributes.input.payloads[0].data)
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert [one.get("event_id") or one["reason"] for one in told] == ["e-1", "e-2", "ended-by-api"]
    assert told[0]["properties"] == {"plan": "team"}
    assert await drops(database) == {"too large": 1}


@workflow.defn(name="NurtureTrack")
class Renewing:
    """Continues as new after it got as many signals as it may."""

    def __init__(self) -> None:
        self.told = 0

    @workflow.run
    async def run(self, given: RunInput) -> None:
        await workflow.wait_condition(lambda: self.told >= MOST_SIGNALS)
        workflow.continue_as_new(given)

    @workflow.signal(dynamic=True)
    def on_any(self, _name: str, _args: Sequence[RawValue]) -> None:
        self.told += 1


@asynccontextmanager
async def renewing(client: Client) -> AsyncIterator[None]:
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Renewing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        yield


async def test_a_run_that_takes_no_more_signals_is_named_and_told_the_rest_once_it_does(
    database: Database, client: Client
) -> None:
    track = await publish(database, TRACK.replace("patient", "full"))
    which = await entered(database, track, "c-1")
    async with Relay(database, client):
        for number in range(MOST_SIGNALS + 2):
            await accept_event(database, "c-1", "said", f"e-{number}")

        async def full() -> bool:
            return [it.enrollment_id for it in (await looked(database, client)).of("run-full")] == [which]

        await until(full)
        assert (await repaired(database, client, "run-full", "leave"))[0][0] is False
        async with database.transaction() as tx:
            assert (await outbox.backlog(tx)).waiting == 2
        async with renewing(client):
            await settled(database)
        assert (await looked(database, client)).of("run-full") == []
    assert await set_aside(database) == [] and await drops(database) == {}


async def test_a_full_run_is_ended_on_the_operators_word_as_its_goal_says(database: Database, client: Client) -> None:
    track = await publish(database, TRACK.replace("patient", "ended"))
    which = await entered(database, track, "c-1")
    async with Relay(database, client):
        for number in range(MOST_SIGNALS + 1):
            await accept_event(database, "c-1", "said", f"e-{number}")
        await accept_event(database, "c-1", "bought", "e-goal")

        async def full() -> bool:
            return bool((await looked(database, client)).of("run-full"))

        await until(full)
        assert await repaired(database, client, "run-full", "drop") == [
            (True, "terminated, and closed as converted: goal")
        ]
        await settled(database)
    assert (await enrollment(database, which)).status == "converted"
    assert await drops(database) == {"late": 2}


async def test_what_was_set_aside_goes_with_the_erased(database: Database, client: Client) -> None:
    track = await publish(database, TRACK.replace("patient", "forgotten"))
    await entered(database, track, "c-1")
    await accept_event(database, "c-1", "said", "e-1", text="private")
    async with database.transaction() as tx:
        (run,) = (await outbox.pending(tx)).runs
        await refused_deliveries.set_aside(tx, run[1].id, "too large", "INVALID_ARGUMENT")
        assert (await refused_deliveries.waiting(tx, 10))[0] == 1
        await erasure.erase(tx, "c-1")
        assert (await refused_deliveries.waiting(tx, 10)) == (0, [])
