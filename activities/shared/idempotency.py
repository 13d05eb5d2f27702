"""What effects other than messages share: each is done once per effect key, however often it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import EffectResult, StepCall
from store.runs import effect_records
from store.runs.effect_records import Begun
from store.schema.rows import Contact

EffectKind = Literal["crm", "webhook", "set", "enroll"]
Ended = Literal["done", "skipped", "failed"]


async def begin(tx: AsyncConnection, call: StepCall) -> Begun | EffectResult:
    """Whether the effect of a step is to be done; where not, the result says how it stands."""
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
    """Record how the effect ended. An attempt that recorded it meanwhile did the same thing."""
    await effect_records.finish(tx, begun, kind, outcome, reason)
    return EffectResult(outcome=outcome, reason=reason)


def contact_of(begun: Begun) -> Contact:
    """The contact of an effect that is to be done, who is there: `begin` answers `ended` for an erased one."""
    assert begun.run.contact is not None
    return begun.run.contact


def scheduled_at() -> datetime:
    """When the activity was asked for: the same moment in each of its attempts."""
    return activity.info().scheduled_time if activity.in_activity() else datetime.now(UTC)


def attempt() -> int:
    """Which attempt of the activity this is, from 1 on."""
    return activity.info().attempt if activity.in_activity() else 1
