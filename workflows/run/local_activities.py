"""How a run calls local activities whose only cause of failure is the database."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows import retry_policies


async def local(name: str, arg: Any, result: type[Any] | None = None, *, summary: str | None = None) -> Any:
    """Run a local activity, again and again until the database answers. `summary` names the step in the history."""
    return await workflow.execute_local_activity(
        name,
        arg,
        result_type=result,
        start_to_close_timeout=retry_policies.LOCAL_LIMIT,
        retry_policy=retry_policies.UNTIL_DATABASE_ANSWERS,
        summary=summary,
    )
