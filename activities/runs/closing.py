"""The last report of a run to the database, as a local activity: `close_run`."""

from __future__ import annotations

from temporalio import activity

from activities.contract import CLOSE_RUN, CloseCall
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.runs import run_changes
from store.runs.enrollments import enrollments
from tracks.contacts.contact_fields import storable_text


class ClosingActivities:
    """Closes enrollments."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=CLOSE_RUN)
    @without_details
    async def close_run(self, call: CloseCall) -> None:
        """Store the rest of the path and how the run ended; closing a closed enrollment changes nothing.

        The reason may come from anybody with access to Temporal. Characters that the database cannot store are removed,
        because an enrollment that cannot be closed would stay live forever.
        """
        reason, ended_at = storable_text(call.reason), call.clock.real(call.at)
        async with self._db.statement() as tx:
            closed = await enrollments.close(
                tx,
                call.enrollment_id,
                call.status,
                reason,
                path=call.path,
                counts=call.counts,
                now=ended_at,
                unless_named=True,
            )
        if not closed:  # closed before; or a segment names the track, and must change in the same transaction
            async with self._db.transaction() as tx:
                await run_changes.close(
                    tx, call.enrollment_id, call.status, reason, path=call.path, counts=call.counts, ended_at=ended_at
                )
