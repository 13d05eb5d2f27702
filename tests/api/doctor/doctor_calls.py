"""Calls of the tests of the doctor: run workers, enrol, check, repair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.worker import Worker

from activities.contract import ReconcileCall
from activities.registry import build_activities
from api.doctor.check import Check
from api.doctor.findings import Report
from api.doctor.repair import Lost, Repair, Repaired
from api.doctor.time_limits import TimeLimits
from api.relay.outbox_relay import Relay
from bench.installation.one_process import Installation
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


@asynccontextmanager
async def working(installation: Installation) -> AsyncIterator[None]:
    """Workers and a relay."""
    activities = build_activities(installation.settings, installation.database)
    try:
        built = build_workers(installation.temporal, activities, installation.settings)
        async with workers(built), Relay(installation.database, installation.temporal):
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


async def enrolled(installation: Installation, contact_id: str, track: str = "sleepy", **contact: str) -> str:
    await installation.call("PUT", f"/v1/contacts/{contact_id}", {"email": f"{contact_id}@doctor.test"} | contact)
    return str((await installation.call("POST", "/v1/enrollments", {"track": track, "contact_id": contact_id}))["id"])


async def sql(installation: Installation, statement: str, **values: Any) -> None:
    async with installation.database.transaction() as tx:
        await tx.execute(text(statement), values)


async def until(what: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await what():
            await asyncio.sleep(0.05)


async def checked(installation: Installation, limits: TimeLimits = HASTY, *, every_run: bool = False) -> Report:
    return await Check(installation.database, installation.temporal, limits).whole(every_run=every_run)


async def named(installation: Installation, *expected: tuple[str, str], limits: TimeLimits = HASTY) -> Report:
    """Wait until the report names exactly these, by kind and id. Visibility and time limits delay it."""
    report = Report()
    try:
        async with asyncio.timeout(60):
            while True:
                report = await checked(installation, limits)
                if sorted((it.kind, it.id) for it in report.findings) == sorted(expected):
                    return report
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"expected {sorted(expected)}, found {report.findings}")


async def repaired(installation: Installation, report: Report, lost: Lost = "leave") -> list[Repaired]:
    activities = build_activities(installation.settings, installation.database)

    async def settle(message_id: str) -> str:
        found = await activities.reconcile.reconcile_message(ReconcileCall(message_id=message_id, settle="assume_sent"))
        return found.outcome

    try:
        return await Repair(installation.database, installation.temporal, settle, lost).all(report)
    finally:
        await activities.close()


async def sent_once(installation: Installation, *contacts: str) -> None:
    for contact in contacts:
        assert len(await installation.accepted(f"{contact}@doctor.test")) == 1, contact


def workflow_of(installation: Installation, contact_id: str, track: str = "sleepy") -> Any:
    return installation.temporal.get_workflow_handle(f"nurture/{track}/{contact_id}")


async def is_started(installation: Installation, enrollment_id: str) -> bool:
    return (await installation.call("GET", f"/v1/enrollments/{enrollment_id}"))["started_at"] is not None
