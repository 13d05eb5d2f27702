"""What a run asks about the condition that it waits for, as the local activity `await_condition`."""

from __future__ import annotations

from temporalio import activity

from activities.contract import AWAIT_CONDITION, AwaitConditionCall, AwaitedCondition
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events import awaited_conditions


class ConditionActivities:
    """Judges the conditions that `wait_for` steps wait for."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=AWAIT_CONDITION)
    @without_details
    async def await_condition(self, call: AwaitConditionCall) -> AwaitedCondition:
        """Whether the condition holds, or has held since the step began. Otherwise the run is signalled when it does.

        A condition that cannot be computed does not hold, and is counted.
        """
        async with self._db.transaction() as tx:
            outcome = await awaited_conditions.look(
                tx, call.enrollment_id, call.step, call.occurrence, last=call.last, now=utc_now()
            )
        return AwaitedCondition(outcome=outcome)
