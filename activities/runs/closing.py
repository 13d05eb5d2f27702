"""The last report of a run to the database, as a local activity: `close_run`."""

from __future__ import annotations

from temporalio import activity

from activities.contract import CLOSE_RUN, CloseCall
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.runs import enrollments
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
        async with self._db.statement() as tx:
            await enrollments.close(
                tx,
                call.enrollment_id,
                call.status,
                storable_text(call.reason),
                path=call.path,
                counts=call.counts,
                now=call.clock.real(call.at),
            )
