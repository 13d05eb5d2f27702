"""Delete events that are older than the policy keeps them. The leading relay does it, slowly, once an hour."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import structlog

from store.engine.background import periodic_jobs
from store.engine.database import Database
from store.runs.events import event_retention
from store.runs.events.event_retention import Position

JOB = "event-deletion"
EVERY = timedelta(hours=1)
LOOK = 30.0
"""Seconds between two tests of whether a pass is due."""
SHARE = 0.1
"""The share of the time in which steps are made: after each, the job rests nine times as long as it took."""
LEAST_REST = 0.05

log = structlog.get_logger(__name__)


class EventDeletion:
    """Deletes until it is cancelled. A pass that was cut off begins again: what is deleted costs it nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Make a pass whenever one is due. While the database is down, wait and try again."""
        while True:
            try:
                deleted = await self.delete_if_due()
                if deleted:
                    log.info("events deleted", count=deleted)
            except Exception as error:  # it goes on from the beginning
                log.warning("events could not be deleted", error=type(error).__name__)
            await asyncio.sleep(LOOK)

    async def delete_if_due(self, now: datetime | None = None) -> int:
        """Make a pass over all names, if one is due. Returns how many events were deleted."""
        now = now or datetime.now(UTC)
        async with self._database.transaction() as tx:
            if not await periodic_jobs.any_due(tx, [JOB], now) or not await periodic_jobs.due(tx, JOB, now):
                return 0
            await periodic_jobs.again(tx, JOB, now + EVERY)
        return await self.delete(now)

    async def delete(self, now: datetime) -> int:
        """Delete everything past its time at that moment, step by step."""
        position: Position | None = Position()
        deleted = 0
        while position is not None:
            began = time.monotonic()
            async with self._database.transaction() as tx:
                step = await event_retention.delete_step(tx, position, now)
            deleted += step.deleted
            position = step.position
            await asyncio.sleep(max(LEAST_REST if step.deleted else 0, (time.monotonic() - began) * (1 / SHARE - 1)))
        return deleted
