"""Handoffs: leads that tracks have handed over to sales, and what became of them. Reading and listing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import first_id_of, is_id
from store.schema.rows import columns, read_row

Status = Literal["waiting", "accepted", "rejected", "expired", "failed", "recycled", "converted"]
"""`waiting` for the answer; `expired`: nobody answered in time; `failed`: the CRM refused the task; `recycled`: sales
accepted the lead and gave it back; `converted`: the lead became a customer."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """One lead that one run handed over. Times are real."""

    id: str
    effect_key: str
    contact_id: str
    enrollment_id: str
    seq: int
    """Which of the contact's handoffs it is, from 1."""
    track: str
    step: str
    team: str
    salesperson: str
    reason: str
    summary: str
    scores: Mapping[str, Any] | None
    """The contact's scores and grades when the lead was handed over."""
    status: Status
    at: datetime
    due_at: datetime
    answered_at: datetime | None
    """When its status last changed."""
    answer_reason: str
    answered_by: str
    """What brought the answer: `api`, `link`, `crm` or `run`."""
    crm_task_id: str | None
    late_answers: Sequence[Mapping[str, Any]] = ()
    """What sales said after the handoff had ended or had another answer, in order: `status`, `reason`, `by`, `at`."""
    task_fault: str = ""
    """Why HubSpot did not take the answer for its task the last time; empty if it took it, or was not asked."""
    explored: bool = False
    """Whether the lead was handed over by chance, as one of those who would not have been."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of a list; a handoff must meet all that is given. Times are those of the handoff."""

    status: Status | None = None
    team: str | None = None
    salesperson: str | None = None
    contact_id: str | None = None
    track: str | None = None
    since: datetime | None = None
    until: datetime | None = None


COLUMNS = columns(Handoff, "o")


async def get(tx: AsyncConnection, handoff_id: str) -> Handoff | None:
    """A handoff by its id; None if there is none."""
    if not is_id(handoff_id):
        return None
    return _one((await tx.execute(_GET, {"id": handoff_id})).mappings().first())


async def of_effect(tx: AsyncConnection, effect_key: str) -> Handoff | None:
    """The handoff of a step's effect; None if there is none."""
    return _one((await tx.execute(_OF_EFFECT, {"key": effect_key})).mappings().first())


async def of_crm_task(tx: AsyncConnection, crm_task_id: str) -> Handoff | None:
    """The handoff that a task in the CRM belongs to; None if there is none."""
    return _one((await tx.execute(_OF_TASK, {"task": crm_task_id})).mappings().first())


async def page(tx: AsyncConnection, wanted: Wanted, *, before: str | None = None, limit: int = 50) -> list[Handoff]:
    """Handoffs older than the handoff `before`, newest first (keyset pagination)."""
    where, asked = ["true"], dict[str, Any](limit=limit)
    for name in ("status", "team", "salesperson", "contact_id", "track"):
        if (value := getattr(wanted, name)) is not None:
            where.append(f"o.{name} = :{name}")
            asked[name] = value
    bounds = [first_id_of(wanted.until)] if wanted.until else []
    if before is not None:
        if not is_id(before):
            return []
        bounds.append(before)
    if bounds:
        where.append("o.id < CAST(:before AS uuid)")
        asked["before"] = min(bounds)
    if wanted.since:
        where.append("o.id >= CAST(:since AS uuid)")
        asked["since"] = first_id_of(wanted.since)
    statement = f"SELECT {COLUMNS} FROM handoff o WHERE {' AND '.join(where)} ORDER BY o.id DESC LIMIT :limit"
    return [read_row(Handoff, row) for row in (await tx.execute(text(statement), asked)).mappings()]


def _one(row: Any) -> Handoff | None:
    return read_row(Handoff, row) if row else None


_GET = text(f"SELECT {COLUMNS} FROM handoff o WHERE id = :id")
_OF_EFFECT = text(f"SELECT {COLUMNS} FROM handoff o WHERE effect_key = :key")
_OF_TASK = text(f"SELECT {COLUMNS} FROM handoff o WHERE crm_task_id = :task ORDER BY id DESC LIMIT 1")
