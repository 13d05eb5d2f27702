"""Accept events that were told before they happened, when their time comes. Every worker does it, one at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database
from store.runs.events import future_events

LOOK = 1.0
"""Seconds between two searches, if the last one found nothing. An event is accepted within 10 seconds of its time."""
AGAIN = timedelta(minutes=10)
"""After this time an event is tried again that could not be accepted."""

log = structlog.get_logger(__name__)


class FutureEvents(BackgroundTask):
    """Looks for events whose time has come, while it is open."""

    def __init__(self, db: Database, *, pace: float = 1.0) -> None:
        """`pace` is that of the runs that these events begin."""
        self._db, self._pace = db, pace

    async def _run(self) -> None:
        while True:
            try:
                busy = await self.accept_due()
            except Exception as error:  # the database failed: it is tried again
                log.warning("events of the future are not accepted", error=type(error).__name__, why=str(error))
                busy = False
            await asyncio.sleep(0 if busy else LOOK)

    async def accept_due(self, now: datetime | None = None) -> bool:
        """Accept the next events that are due. False if there were none, or if another process does it."""
        now = now or datetime.now(UTC)
        try:
            async with self._db.transaction() as tx:
                return bool(await future_events.accept_due(tx, now, pace=self._pace))
        except (DBAPIError, PoolTimeout, OSError):
            raise
        except Exception:  # one event's data: the others must not wait for it (law 12)
            log.exception("events of the future could not be accepted together")
            return await self._one_by_one(now)

    async def _one_by_one(self, now: datetime) -> bool:
        for _ in range(future_events.AT_ONCE):
            async with self._db.transaction() as tx:
                event_id = await future_events.next_due(tx, now)
            if event_id is None:
                return False
            try:
                async with self._db.transaction() as tx:
                    await future_events.accept_due(tx, now, pace=self._pace, most=1)
            except (DBAPIError, PoolTimeout, OSError):
                raise
            except Exception:
                log.exception("an event of the future could not be accepted", event_id=event_id)
                async with self._db.transaction() as tx:
                    await future_events.postpone(tx, event_id, now + AGAIN)
        return True
