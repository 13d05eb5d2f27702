"""End the handoffs for which nobody waits any more: their run has ended, and they are due. Every worker does it."""

from __future__ import annotations

import asyncio

import structlog

from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database
from store.people.handoffs import answering

LOOK = 30.0
"""Seconds between two searches, if the last one found nothing."""

log = structlog.get_logger(__name__)


class HandoffUpkeep(BackgroundTask):
    """Looks for unattended handoffs while it is open. Those of live runs are ended by the runs, on their own clocks."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def _run(self) -> None:
        while True:
            try:
                busy = await self.expire()
            except Exception as error:  # the database failed: it is tried again
                log.warning("unattended handoffs are not ended", error=type(error).__name__, why=str(error))
                busy = False
            await asyncio.sleep(0 if busy else LOOK)

    async def expire(self) -> bool:
        """End the next ones. False if there were none."""
        async with self._db.transaction() as tx:
            return bool(await answering.expire_unattended(tx))
