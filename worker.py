"""The worker process: workflows, activities, and the relay that delivers the outbox to Temporal."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from activities import contract
from activities.audience.segment_webhooks import SegmentWebhooks
from activities.effects.handoff_task_updates import HandoffTaskUpdates
from activities.registry import Activities, build_activities
from activities.sending.breakers_and_quota import Watch
from activities.sending.direct_send import AT_ONCE, DirectSendWatch
from api.audience.future_events import FutureEvents
from api.audience.handoff_upkeep import HandoffUpkeep
from api.audience.segment_upkeep import SegmentUpkeep
from api.doctor.periodic_check import Rounds
from api.health.worker_health import WorkerHealth
from api.relay.event_deletion import EventDeletion
from api.relay.import_commands import ImportCommands
from api.relay.outbox_relay import Relay
from api.temporal.connection import connect
from api.tracking.engagement_events import HeldTouches, HoldTimes
from infra import event_loop, logs
from settings import SENDING, Settings, get_settings
from store.engine.background.live_workers import worker_name
from store.engine.database import Database
from store.engine.hash_secret import use_secret
from workflows.determinism_sandbox import runner
from workflows.import_contacts import ImportContacts
from workflows.nurture import NurtureTrack

HOST = "127.0.0.1"

WORKFLOW_TASKS = 8
"""Concurrent workflow tasks. They are Python code on one core: more of them only wait for Python's lock, until they
time out (measured). Places for tasks that wait for a provider are added, for each of two channels."""

POLLS = 8
"""Concurrent poll calls for workflow tasks on each of a worker's two queues. Each call reserves a place for a task.
Without a limit, a burst multiplies the calls on the worker's own queue; later these calls get no tasks but still hold
most of the places: docs/design/benchmarks.md#wake has the figures."""

OWN_QUEUE = timedelta(seconds=1)
"""How long a run's next task waits for the worker that has the run in memory. In that worker's own queue tasks are
processed in order; in the common queue tracks take turns. If very many timers of one track are due at once, a click on
another track waits about this long: docs/design/benchmarks.md#wake compares other values."""

IMPORT_TASKS = 4
"""Concurrent imports of a process. Most of them only wait."""

DATABASE_WAIT = 120.0
"""Seconds that a starting process waits for its database. Then it ends, and the orchestrator may restart it."""
SAID_EVERY = 10.0
"""Seconds between two log lines about this."""

log = structlog.get_logger()


class NoDatabaseError(Exception):
    """The database did not answer in time."""


def build_workers(client: Client, activities: Activities, settings: Settings) -> list[Worker]:
    """One worker for runs and their local activities, one for imports, and one per provider queue."""
    versioning = _versioning(settings)
    runs = Worker(
        client,
        task_queue=contract.QUEUE_RUNS,
        workflows=[NurtureTrack],
        workflow_runner=runner(),
        activities=activities.local,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS + len(activities.direct_sends) * AT_ONCE,
        max_cached_workflows=settings.cached_runs,
        sticky_queue_schedule_to_start_timeout=OWN_QUEUE,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(maximum=POLLS),
        graceful_shutdown_timeout=settings.drain,
        **versioning,
    )
    imports = Worker(
        client,
        task_queue=contract.QUEUE_IMPORTS,
        workflows=[ImportContacts],
        workflow_runner=runner(),
        activities=activities.imports,
        max_concurrent_workflow_tasks=IMPORT_TASKS,
        max_concurrent_activities=IMPORT_TASKS,
        max_cached_workflows=100,
        graceful_shutdown_timeout=settings.drain,
        **versioning,
    )
    return [runs, imports] + [
        Worker(
            client,
            task_queue=queue,
            activities=methods,
            max_concurrent_activities=settings.concurrent_sends,
            max_task_queue_activities_per_second=settings.queue_rates.get(queue),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            graceful_shutdown_timeout=settings.drain,
            **versioning,
        )
        for queue, methods in activities.by_queue.items()
    ]


def build_relay(client: Client, database: Database, settings: Settings) -> Relay:
    """A relay whose leader also makes events from held touches, signals imports, runs the doctor's brief check, and
    deletes events past their time."""
    patience = HoldTimes(settings.click_hold, settings.click_soon, settings.pace_at_entry)
    beside = (
        HeldTouches(database, patience),
        ImportCommands(database, client),
        Rounds(database, client, settings.doctor_every),
        EventDeletion(database),
    )
    return Relay(database, client, [one.run for one in beside])


def _versioning(settings: Settings) -> dict[str, Any]:
    """Options for Worker Versioning, if a build id is set. The SDK's default id hashes every loaded module, which takes
    seconds of CPU."""
    if not settings.build_id:
        return {"build_id": "unversioned"}
    version = WorkerDeploymentVersion(deployment_name=settings.deployment_name, build_id=settings.build_id)
    # Set here and not on the workflow, because a server refuses a versioning behaviour from a worker without a version.
    config = WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )
    return {"deployment_config": config}


async def look_regularly(
    stack: AsyncExitStack, client: Client, database: Database, activities: Activities, settings: Settings
) -> None:
    """Begin what every worker does beside its runs: it looks regularly for what is due in the database."""
    for task in (
        DirectSendWatch(database, client, activities.direct_sends),
        HandoffUpkeep(database),
        activities.sales_mails,
        HandoffTaskUpdates(database, activities.providers.crm),
        SegmentUpkeep(database, pace=settings.pace_at_entry),
        FutureEvents(database, pace=settings.pace_at_entry),
        SegmentWebhooks(database, activities.providers.webhooks),
    ):
        await stack.enter_async_context(task)


async def run(settings: Settings, stop: asyncio.Event | None = None, *, relay: bool = True, host: str = HOST) -> None:
    """Run workers until SIGTERM, SIGINT or `stop`. Then take no new work and finish the running work.

    Raises NoDatabaseError if the database does not answer in time, ValueError with all settings that production
    refuses.
    """
    settings.require(*SENDING)
    stop = _on_signals(stop)
    async with AsyncExitStack() as stack:
        health = await stack.enter_async_context(WorkerHealth(host, settings.worker_port))
        database = await _database(settings, stack, worker_name(), stop)
        if database is None:
            return
        client = await connect()
        activities = build_activities(settings, database)
        stack.push_async_callback(activities.close)
        workers = build_workers(client, activities, settings)
        for worker in workers:
            await stack.enter_async_context(worker)
        await look_regularly(stack, client, database, activities, settings)
        await stack.enter_async_context(
            Watch(database, activities.providers.email, client, settings, activities.providers.crm)
        )
        if relay:
            await stack.enter_async_context(build_relay(client, database, settings))
        log.info(
            "worker started", queues=[contract.QUEUE_RUNS, contract.QUEUE_IMPORTS, *activities.by_queue], relay=relay
        )
        health.database, health.working = database, True
        await stop.wait()
        health.working = False
        log.info("worker draining", at_most=str(settings.drain))
        # Shut down all at once. One after another, the last would take new work while the first ones finish theirs.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    await _settle()


async def run_relay(settings: Settings, stop: asyncio.Event | None = None, *, host: str = HOST) -> None:
    """Run a relay alone, until SIGTERM, SIGINT or `stop`. Raises NoDatabaseError as `run` does."""
    stop = _on_signals(stop)
    async with AsyncExitStack() as stack:
        health = await stack.enter_async_context(WorkerHealth(host, settings.worker_port))
        database = await _database(settings, stack, "perennial-relay", stop)
        if database is None:
            return
        client = await connect()
        await stack.enter_async_context(build_relay(client, database, settings))
        log.info("relay started")
        health.database, health.working = database, True
        await stop.wait()
        health.working = False
    await _settle()


async def _database(settings: Settings, stack: AsyncExitStack, name: str, stop: asyncio.Event) -> Database | None:
    """Wait for the database, so that no work is polled that could not be done. Returns None if `stop` comes first."""
    use_secret(settings.hash_secret)
    database = Database(settings.database_url.get_secret_value(), settings.database_pool, name=name)
    stack.push_async_callback(database.close)
    loop = asyncio.get_running_loop()
    began, said = loop.time(), -SAID_EVERY
    while not stop.is_set():
        try:
            await database.ping()
            return database
        except (DBAPIError, PoolTimeout, OSError) as error:
            waited = loop.time() - began
            if waited > DATABASE_WAIT:
                raise NoDatabaseError(
                    f"The database has not answered for {waited:.0f} s: {type(error).__name__}."
                ) from None
            if waited - said >= SAID_EVERY:
                log.warning("waiting for the database", seconds=round(waited), error=type(error).__name__)
                said = waited
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1)
    return None


def _on_signals(stop: asyncio.Event | None) -> asyncio.Event:
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no loop signal handlers
            loop.add_signal_handler(number, stop.set)
    return stop


async def _settle() -> None:
    """Wait for the runtime's threads. Otherwise they can crash the interpreter at exit (sdk-python #300, measured)."""
    await asyncio.sleep(0.3)


def main(*, relay: bool = True, host: str = HOST) -> None:
    """Run until told to stop: for `python worker.py` and `perennial worker`."""
    settings = get_settings()
    logs.set_up(json=settings.environment == "production")
    event_loop.run(run(settings, relay=relay, host=host))


if __name__ == "__main__":
    main()
