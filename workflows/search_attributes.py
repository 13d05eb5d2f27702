"""The search attributes that a run keeps up to date. A test compares their names with `tracks.runs.run_interface`."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow
from temporalio.common import SearchAttributeKey

STEP = SearchAttributeKey.for_keyword("Step")
STATE = SearchAttributeKey.for_keyword("State")
NEXT_ACTION_AT = SearchAttributeKey.for_datetime("NextActionAt")


def show(step: str, state: str, next_action_at: datetime | None) -> None:
    """Set where the run is for Temporal's list of workflows. It costs a history event, so it is done once per wait."""
    changes = [STEP.value_set(step), STATE.value_set(state)]
    if next_action_at is None:
        workflow.upsert_search_attributes([*changes, NEXT_ACTION_AT.value_unset()])
    else:
        workflow.upsert_search_attributes([*changes, NEXT_ACTION_AT.value_set(next_action_at)])
