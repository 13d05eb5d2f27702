"""Shared by effects other than messages: each effect happens once per effect key, however often it is requested."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import EffectResult, StepCall
from store.runs import effect_records
from store.runs.effect_records import Begun
from store.schema.rows import Contact

EffectKind = Literal["crm", "webhook", "set", "enroll", "handoff"]
Ended = Literal["done", "skipped", "failed"]


async def begin(tx: AsyncConnection, call: StepCall) -> Begun | EffectResult:
    """Whether to do a step's effect; if not, the returned result says how it ended."""
    try:
        begun = await effect_records.begin(
            tx, enrollment_id=call.enrollment_id, step=call.step, occurrence=call.occurrence, path=call.path
        )
    except LookupError:
        return EffectResult(outcome="ended", reason="no such enrollment")
    if begun.decision == "ended":
        return EffectResult(outcome="ended", reason=begun.reason)
    if begun.decision == "settled":
        return EffectResult(outcome=begun.outcome or "done", reason=begun.reason)
    return begun


async def finish(tx: AsyncConnection, begun: Begun, kind: EffectKind, outcome: Ended, reason: str = "") -> EffectResult:
    """Record how the effect ended. If another attempt has recorded it in the meantime, it did the same effect."""
    await effect_records.finish(tx, begun, kind, outcome, reason)
    return EffectResult(outcome=outcome, reason=reason)


def contact_of(begun: Begun) -> Contact:
    """The contact of an effect that has begun. It exists, because `begin` returns `ended` for an erased contact."""
    assert begun.run.contact is not None
    return begun.run.contact


def scheduled_at() -> datetime:
    """When the activity was scheduled; the same moment in each of its attempts."""
    return activity.info().scheduled_time if activity.in_activity() else datetime.now(UTC)


def attempt() -> int:
    """The number of the activity's attempt, from 1."""
    return activity.info().attempt if activity.in_activity() else 1
