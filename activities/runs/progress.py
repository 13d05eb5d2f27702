"""What a run reports to the database, or asks it, between its steps, as local activities."""

from __future__ import annotations

from temporalio import activity

from activities.contract import COUNT_UNDELIVERED, REPORT_PATH, ReportCall, UndeliveredCall
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.runs.enrollments import enrollments
from store.runs.outbox import outbox


class ProgressActivities:
    """Stores the path of runs that no other activity reports, and counts what has not reached a run yet."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=REPORT_PATH)
    @without_details
    async def report_path(self, call: ReportCall) -> None:
        """Store a part of a run's path; entries that are stored already do not change."""
        async with self._db.statement() as tx:
            await enrollments.report_path(tx, call.enrollment_id, call.path)

    @activity.defn(name=COUNT_UNDELIVERED)
    @without_details
    async def count_undelivered(self, call: UndeliveredCall) -> int:
        """How many deliveries to this run are waiting: events, ends, changed attributes."""
        async with self._db.statement() as tx:
            return await outbox.undelivered(tx, call.enrollment_id)
