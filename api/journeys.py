"""Where a run is now: asked of the run itself, for at most a second."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client

from tracks.run import QUERY_JOURNEY, Journey

log = structlog.get_logger(__name__)
PATIENCE = timedelta(seconds=1)


async def ask(client: Client | None, workflow_id: str, enrollment_id: str) -> Journey | None:
    """The journey that the live run tells, or None where it does not answer in time.

    The caller shows what the database knows then: a reader must not depend on Temporal.
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
