"""The run's last word to the database, as a local activity: `close_run`."""

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
        """Store what is left of the path and how the run ended; closing a closed one changes nothing.

        The reason may be anybody's who reaches Temporal. What the database cannot hold of it is left out, because an
        enrolment that cannot be closed stays live for ever.
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
