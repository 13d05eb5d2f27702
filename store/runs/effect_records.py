"""Records of effects other than messages (crm, webhook, set, enroll, handoff): each effect happens once per effect key.

An effect inside the database (`set`, `enroll`) and its record are one transaction. For an effect outside (`crm`,
`webhook`): begin, call the provider with the effect key as the idempotency key, then finish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import utc_now
from store.runs.enrollments.enrollments import lock_run, report_path
from store.schema.rows import Run
from tracks.runs.run_interface import PathEntry
from tracks.shared.effect_keys import effect_key

EffectOutcome = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Begun:
    """`go`: do it, then `finish`. `settled`: it is done, see `outcome` and `reason`. `ended`: see `reason`."""

    decision: Literal["go", "settled", "ended"]
    run: Run
    effect_key: str
    outcome: EffectOutcome | None = None
    reason: str = ""


async def begin(
    tx: AsyncConnection,
    *,
    enrollment_id: str,
    step: str,
    occurrence: int,
    path: Sequence[PathEntry] = (),
) -> Begun:
    """Ask whether to do an effect. Until the transaction ends, no other attempt for the same contact continues.

    `path` is stored whatever the answer is. Raises LookupError if there is no such enrollment.
    """
    run = await lock_run(tx, enrollment_id)
    if run is None:
        raise LookupError("there is no such enrollment")
    await report_path(tx, enrollment_id, path, step=step)
    key = effect_key(enrollment_id, step, occurrence)
    row = (await tx.execute(_DONE, {"key": key})).first()
    if row is not None:
        return Begun("settled", run, key, row.outcome, row.reason)
    over = "erased" if run.contact is None else run.enrollment.over
    return Begun("ended", run, key, reason=over) if over else Begun("go", run, key)


async def finish(
    tx: AsyncConnection,
    begun: Begun,
    kind: Literal["crm", "webhook", "set", "enroll", "handoff"],
    outcome: EffectOutcome,
    reason: str = "",
    *,
    now: datetime | None = None,
) -> bool:
    """Record how an effect ended; returns False if another attempt has recorded it already, which then counts."""
    values = {
        "key": begun.effect_key,
        "enrollment": begun.run.enrollment.id,
        "kind": kind,
        "outcome": outcome,
        "reason": reason,
        "now": now or utc_now(),
    }
    return (await tx.execute(_FINISH, values)).rowcount > 0


_DONE = text("SELECT outcome, reason FROM effect WHERE effect_key = :key")
_FINISH = text("""
    INSERT INTO effect (effect_key, enrollment_id, kind, outcome, reason, done_at)
    VALUES (:key, :enrollment, :kind, :outcome, :reason, :now) ON CONFLICT (effect_key) DO NOTHING
""")
