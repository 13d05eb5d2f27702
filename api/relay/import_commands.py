"""Start and signal the workflows of imports. The relay's leader reads the commands from the database, so no command is
lost if an API process dies after its answer or while Temporal is down.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from api.relay.delivery import RPC_TIMEOUT
from store.engine.database import Database
from store.runs.imports import imports
from store.runs.imports.imports import Import
from tracks.runs.import_interface import SIGNAL_CHANGED, TASK_QUEUE, WORKFLOW_TYPE, ImportInput, workflow_id

LOOK = 1.0
"""Seconds between two reads of the changed imports."""
TIDY_EVERY = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class ImportCommands:
    """Starts the workflows of imports, and signals them when something has changed."""

    def __init__(self, db: Database, client: Client) -> None:
        self._db, self._client = db, client

    async def run(self) -> None:
        """Read and signal repeatedly. While the database or Temporal is down, it waits and tries again."""
        tidy_at = datetime.now(UTC)
        while True:
            try:
                await self.tell()
                if datetime.now(UTC) >= tidy_at:
                    tidy_at = datetime.now(UTC) + TIDY_EVERY
                    async with self._db.transaction() as tx:
                        await imports.tidy(tx)
            except Exception as error:
                log.warning("imports wait", error=type(error).__name__)
            await asyncio.sleep(LOOK)

    async def tell(self) -> int:
        """Signal all changed imports. Returns how many there were."""
        async with self._db.transaction() as tx:
            found = await imports.untold(tx)
        for one in found:
            try:
                await self._start_or_wake(one)
            except (RPCError, RuntimeError) as error:  # a client that has never connected raises the latter
                reason = error.status.name if isinstance(error, RPCError) else "no connection"
                log.warning("an import waits", import_id=one.id, reason=reason)
                continue
            async with self._db.transaction() as tx:
                await imports.told(tx, one.id, one.news)
        return len(found)

    async def _start_or_wake(self, one: Import) -> None:
        """Signal-with-start: it starts or signals the workflow as needed, and is harmless if neither is needed."""
        await self._client.start_workflow(
            WORKFLOW_TYPE,
            ImportInput(import_id=one.id, track=one.track),
            id=workflow_id(one.id),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=SIGNAL_CHANGED,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(SearchAttributeKey.for_keyword("Track"), one.track),
                    SearchAttributePair(SearchAttributeKey.for_keyword("State"), "running"),
                ]
            ),
            static_summary=f"import into {one.track}"[:200],
            priority=Priority(fairness_key=one.track[:64]),
            rpc_timeout=RPC_TIMEOUT,
        )
