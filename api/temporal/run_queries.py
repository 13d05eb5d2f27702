"""Query a live run for its position, for at most a second."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client

from tracks.runs.run_interface import QUERY_JOURNEY, Journey

log = structlog.get_logger(__name__)
PATIENCE = timedelta(seconds=1)


async def ask(client: Client | None, workflow_id: str, enrollment_id: str) -> Journey | None:
    """The journey as the live run reports it, or None if it does not answer in time.

    With None, the caller shows what the database knows: reading must not depend on Temporal.
    """
    if client is None:
        return None
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            journey: Journey = await handle.query(QUERY_JOURNEY, result_type=Journey, rpc_timeout=PATIENCE)
            return journey
    except Exception as error:  # not started yet, no worker, no server: the answer is the same
        log.info("journey not answered", enrollment=enrollment_id, error=type(error).__name__)
        return None


async def trouble(client: Client | None, workflow_id: str) -> str | None:
    """Why the run's current activity is being retried: the class of the latest failure, or None.

    It asks Temporal for at most a second. Failures of activities hold only classes and codes, no personal data.
    """
    if client is None:
        return None
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=PATIENCE)
    except Exception as error:
        log.info("run not described", workflow=workflow_id, error=type(error).__name__)
        return None
    for pending in found.raw_description.pending_activities:
        if pending.HasField("last_failure"):
            failure = pending.last_failure
            what = failure.message or failure.application_failure_info.type or "no answer"
            return f"attempt {pending.attempt}: {what}"[:300]
    return None
