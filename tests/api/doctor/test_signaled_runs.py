"""The doctor finds runs with a signal that no worker processes, also if their timer is weeks away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from api.doctor.check import Check
from api.doctor.periodic_check import CHORE, Rounds
from api.relay.outbox_relay import Relay
from bench.installation.one_process import Installation, installation_on
from store.engine.background import periodic_jobs
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.outbox import outbox
from store.runs.outbox.signaled_runs import find_signaled
from tests.api.doctor.doctor_calls import HASTY, checked, until
from tests.conftest import DevServer
from tests.store.store_calls import TRIAL, StoreCalls, rows_of
from tests.support.sandbox import Sandbox
from tests.support.servers import servers_of
from tests.support.shared_temporal import SharedTemporal
from tests.test_worker import build_of, built, waiting_at

PATIENT = """
track: patient
goal: {event: bought}
steps:
  - id: reply
    wait_for: {event: said, within: 30d, then: [], else: []}
  - id: rest
    wait: 30d
"""


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, 4)
    yield opened
    await opened.close()


@pytest.fixture
def store(db: Database) -> StoreCalls:
    return StoreCalls(db)


@pytest.fixture
def temporal(shared_temporal: SharedTemporal) -> DevServer:
    """A namespace of this test's own: a deployment's current version routes all runs of a queue."""
    return DevServer.on(shared_temporal)


@pytest.fixture
async def installation(postgres_url: str, temporal: DevServer, sandbox: Sandbox) -> AsyncIterator[Installation]:
    servers = servers_of(postgres_url, temporal, sandbox)
    async with installation_on(servers, worker=False) as opened:
        await opened.publish("patient", PATIENT)
        yield opened


async def entered(installation: Installation, who: str) -> str:
    await installation.call("PUT", f"/v1/contacts/{who}", {})
    found = await installation.call("POST", "/v1/enrollments", {"track": "patient", "contact_id": who})
    await waiting_at(installation.temporal, f"nurture/patient/{who}", "reply")
    return str(found["id"])


async def happened(installation: Installation, who: str, name: str) -> None:
    answer = await installation.call(
        "POST", "/v1/events", {"event_id": f"{who}-{name}", "contact_id": who, "name": name}
    )
    assert answer["matched"] == 1


async def test_an_event_for_a_run_whose_build_has_no_worker_is_named_by_the_rounds_and_by_the_command(
    installation: Installation, temporal: DevServer
) -> None:
    rounds = Rounds(installation.database, installation.temporal, timedelta(minutes=5), HASTY)

    async def unserved() -> list[tuple[str, str]]:
        async with installation.database.transaction() as tx:
            await periodic_jobs.again(tx, CHORE, utc_now())
        report = await rounds.look_if_due()
        assert report is not None
        assert {it.kind for it in report.findings} <= {"no-worker"}, report.findings
        return [(it.enrollment_id, it.detail.rpartition(", ")[2]) for it in report.findings]

    # Two processes have two clients: the workers of one answer for each other.
    one, two = [await temporal.connect() for _ in range(2)]
    async with Relay(installation.database, installation.temporal), built(one, installation.settings, "a"):
        await entered(installation, "of-a")
        async with built(two, installation.settings, "b"):
            waits = await entered(installation, "of-b")
            await entered(installation, "well")
            await entered(installation, "sleeps")
            assert await build_of(installation.temporal, "nurture/patient/of-b") == "b"
            await happened(installation, "well", "said")
            await waiting_at(installation.temporal, "nurture/patient/well", "rest")
            assert await unserved() == []
        await happened(installation, "of-b", "said")
        await happened(installation, "of-a", "bought")

        async def named() -> bool:
            return await unserved() == [(waits, "build b")]

        await until(named)
        assert await named(), "it stays named, though the rounds have gone on in the outbox"
        report = await checked(installation)
        assert [(it.kind, it.id) for it in report.findings] == [("no-worker", waits)]
        # a new leader finds it in the delivered rows of the outbox
        report = await Check(installation.database, installation.temporal, HASTY).brief()
        assert [(it.kind, it.id) for it in report.findings] == [("no-worker", waits)]
        async with built(two, installation.settings, "b"):
            await waiting_at(installation.temporal, "nurture/patient/of-b", "rest")

            async def served() -> bool:
                return await unserved() == []

            await until(served)


MINUTE = timedelta(minutes=1)


async def test_a_look_begins_where_the_last_one_ended_and_misses_nothing(store: StoreCalls, db: Database) -> None:
    now = datetime.now(UTC)
    runs = [(await store.live(TRIAL, who)).id for who in ("ann", "bob", "cleo")]
    async with db.transaction() as tx:
        await outbox.delivered(tx, [row.id for row in rows_of(await outbox.pending(tx))], now=now - 9 * MINUTE)
        assert (await find_signaled(tx, after=0, before=now, limit=10)).count == 0, "starts are not what it looks for"
    for number, who in enumerate(("ann", "bob", "cleo")):
        await store.happen("email.clicked", who, f"e-{number}", step="hello")
    async with db.transaction() as tx:
        first, second, third = (row.id for row in rows_of(await outbox.pending(tx)))
        await outbox.delivered(tx, [first], now=now - 9 * MINUTE)
        await outbox.delivered(tx, [third], now=now - 9 * MINUTE)
        found = await find_signaled(tx, after=0, before=now - 5 * MINUTE, limit=10)
        assert (set(found.ids), found.count) == ({runs[0], runs[2]}, 2)
        # the second was not delivered by then, so the next check begins before it
        assert found.position < second
        await outbox.delivered(tx, [second], now=now - MINUTE)
        later = await find_signaled(tx, after=found.position, before=now, limit=10)
        assert (set(later.ids), later.position) == ({runs[1], runs[2]}, third)
        assert (await find_signaled(tx, after=later.position, before=now, limit=10)) == (type(later)([], 0, third))


async def test_a_few_of_an_old_build_are_not_overlooked_for_the_many_of_a_new_one(
    store: StoreCalls, db: Database
) -> None:
    await store.publish(TRIAL)
    for number in range(40):
        await store.contact(f"c-{number}")
        await store.enrolled("trial", f"c-{number}")
        await store.happen("email.clicked", f"c-{number}", f"e-{number}", step="hello")
    async with db.transaction() as tx:
        ids = (await tx.execute(text("SELECT id FROM outbox ORDER BY id"))).scalars().all()
        await outbox.delivered(tx, ids, now=datetime.now(UTC))
        few = (
            "UPDATE enrollment SET started_at = now() - interval '9 d' WHERE contact_id IN ('c-7', 'c-8') RETURNING id"
        )
        old = {str(one) for one in (await tx.execute(text(few))).scalars()}
        found = await find_signaled(tx, after=0, before=datetime.now(UTC), limit=4)
    assert (len(found.ids), found.count) == (4, 40)
    assert old < set(found.ids)
