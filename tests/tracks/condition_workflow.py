"""A workflow that evaluates a condition inside Temporal's sandbox."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tracks.conditions.conditions import evaluate


@workflow.defn
class Decide:
    """Returns whether the condition is true for an event with `plan: team`."""

    @workflow.run
    async def run(self, condition: str) -> bool:
        """Evaluate with the workflow's own clock as `now`."""
        event = {"properties": {"plan": "team"}}
        return evaluate(condition, {"event": event, "now": workflow.now()})
