"""Whether a condition is true, for what the store decides; one that could not be computed is false and counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.runs import drop_counts
from tracks.conditions.conditions import NO_TRACE, ConditionError, judge


async def holds(
    tx: AsyncConnection, condition: str | None, context: Mapping[str, Any], track: str, kind: str = "event"
) -> bool:
    """Whether a condition is true. One that could not be computed is false, and counted with the reason.

    A condition that reads missing data is not counted: conditions may test for missing data.
    """
    if condition is None:
        return True
    holding, why = judged(condition, context)
    if why:
        count(tx, why, kind, track)
    return holding


def judged(condition: str, context: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a condition is true, and the reason to count if it could not be computed."""
    try:
        verdict = judge(condition, context)
    except ConditionError:
        return False, drop_counts.CONDITION
    return verdict.holds, "" if verdict.why in NO_TRACE else f"{drop_counts.CONDITION}: {verdict.why}"


def count(tx: AsyncConnection, reason: str, kind: str, track: str) -> None:
    """Count it together with the transaction's next statement, so that a failing condition costs no round trip."""
    later(tx, _FAILED, {"reason": reason, "kind": kind, "track": track})


_FAILED = text("INSERT INTO dropped (reason, kind, track) VALUES (:reason, :kind, :track)")
