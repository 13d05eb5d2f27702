"""A workflow that decides by a condition, as Temporal's sandbox sees one."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tracks.conditions.conditions import evaluate


@workflow.defn
class Decide:
    """Answers whether the condition holds for an event that says `plan: team`."""

    @workflow.run
    async def run(self, condition: str) -> bool:
        """Evaluate with the workflow's own clock as `now`."""
        event = {"properties": {"plan": "team"}}
        return evaluate(condition, {"event": event, "now": workflow.now()})
