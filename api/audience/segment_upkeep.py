"""Keep segments and scores true as time passes, and bring new versions of them to life.

Every worker does it, side by side.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store.audience.fills import score_fills, segment_fills
from store.audience.memberships import due_memberships
from store.audience.scores import sizes
from store.audience.segments import segment_sizes
from store.engine.background import periodic_jobs
from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database
from store.runs.events import events

LOOK = 1.0
"""Seconds between two searches, if the last one found nothing. A change is told within 10 seconds (the design)."""
NOTED_EVERY = timedelta(minutes=15)
"""How often one of the processes counts the members of all segments, and the contacts of all grades."""
_NOTED = {segment_sizes.JOB: segment_sizes.note, sizes.JOB: sizes.note}
"""The jobs that count, and how."""
AGAIN = timedelta(minutes=10)
"""After this time a contact is tried again whose memberships could not be brought up to date."""

log = structlog.get_logger(__name__)


class SegmentUpkeep(BackgroundTask):
    """Looks for memberships and scores that are due, and for versions to fill, while it is open."""

    def __init__(self, db: Database, *, pace: float = 1.0) -> None:
        """`pace` is that of the runs that a change of a segment or a grade begins."""
        self._db, self._pace = db, pace

    async def _run(self) -> None:
        while True:
            try:
                busy = await self.update_due()
                busy = await self.fill() or busy
                await self.note_sizes()
            except Exception as error:  # the database failed, or one version: it is tried again
                log.warning("segments are not kept up to date", error=type(error).__name__, why=str(error))
                busy = False
            await asyncio.sleep(0 if busy else LOOK)

    async def update_due(self, now: datetime | None = None) -> bool:
        """Bring the next contacts up to date whose memberships or scores are due. False if there were none."""
        now = now or datetime.now(UTC)
        try:
            return await self._update_due(now, due_memberships.AT_ONCE)
        except (DBAPIError, PoolTimeout, OSError):
            raise
        except Exception:  # one contact's data: the others must not wait for it (law 12)
            log.exception("memberships could not be brought up to date together")
            return await self._one_by_one(now)

    async def _update_due(self, now: datetime, most: int) -> bool:
        async with self._db.transaction() as tx:
            held = await due_memberships.take_due(tx, now, most=most)
            if not held:
                return False
            updated = await due_memberships.update_due(tx, held, now)
            await events.tell_changes(tx, updated, now=now, pace=self._pace)
        return True

    async def _one_by_one(self, now: datetime) -> bool:
        for _ in range(due_memberships.AT_ONCE):
            contact_id = ""
            try:
                async with self._db.transaction() as tx:
                    held = await due_memberships.take_due(tx, now, most=1)
                    if not held:
                        return False
                    (contact_id,) = held
                    updated = await due_memberships.update_due(tx, held, now)
                    await events.tell_changes(tx, updated, now=now, pace=self._pace)
            except (DBAPIError, PoolTimeout, OSError):
                raise
            except Exception:
                log.exception("memberships could not be brought up to date", contact_id=contact_id)
                async with self._db.transaction() as tx:
                    await due_memberships.postpone(tx, contact_id, now, AGAIN)
        return True

    async def fill(self, now: datetime | None = None) -> bool:
        """Do one chunk of work on a published version. False if there is none."""
        now = now or datetime.now(UTC)
        async with self._db.transaction() as tx:
            updated = await segment_fills.step(tx, now)
            if updated is None:
                updated = await score_fills.step(tx, now)
            if updated is None:
                return False
            await events.tell_changes(tx, updated, now=now, pace=self._pace, bulk=True)
        return True

    async def note_sizes(self, now: datetime | None = None) -> bool:
        """Count today's members, and the contacts of each grade, if it is time and no other process does it."""
        now, noted = now or datetime.now(UTC), False
        async with self._db.transaction() as tx:
            if not await periodic_jobs.any_due(tx, list(_NOTED), now):
                return False
        for job, note in _NOTED.items():
            async with self._db.transaction() as tx:
                if await periodic_jobs.due(tx, job, now):
                    await note(tx, now)
                    await periodic_jobs.again(tx, job, now + NOTED_EVERY)
                    noted = True
        return noted
