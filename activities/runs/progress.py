"""What a run asks of the database or tells it between its steps, as local activities."""

from __future__ import annotations

from temporalio import activity

from activities.contract import COUNT_UNDELIVERED, REPORT_PATH, ReportCall, UndeliveredCall
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.runs import enrollments, outbox


class ProgressActivities:
    """Keeps the path of runs that nothing else reports, and says what has not reached a run yet."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=REPORT_PATH)
    @without_details
    async def report_path(self, call: ReportCall) -> None:
        """Store a part of a run's path; what is stored already stays as it is."""
        async with self._db.statement() as tx:
            await enrollments.report_path(tx, call.enrollment_id, call.path)

    @activity.defn(name=COUNT_UNDELIVERED)
    @without_details
    async def count_undelivered(self, call: UndeliveredCall) -> int:
        """How many deliveries to this run wait to be made: events, ends, changed attributes."""
        async with self._db.statement() as tx:
            return await outbox.undelivered(tx, call.enrollment_id)
