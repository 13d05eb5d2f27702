"""The tasks of the built-in CRM: list them and do them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import SLUG, Body, Identifier, WrittenMoment
from api.http.pagination import CursorText, Limit
from api.http.problems import ProblemError, documented, not_found
from store.people import crm_tasks
from store.people.crm_tasks import Wanted
from store.schema import merged_ids

router = APIRouter(prefix="/v1/crm", tags=["crm"], route_class=KeyedRoute, responses=documented(401, 422))

TaskId = Annotated[str, Path(max_length=64, description="The task's id.")]
Word = Annotated[str, Field(pattern=SLUG)]
"""A word that conditions compare: small letters, digits and hyphens."""
Person = Annotated[str, Field(min_length=1, max_length=100, description="The salesperson's name.", examples=["ada"])]
NoteText = Annotated[str, Field(min_length=1, max_length=10_000)]


class CrmTask(BaseModel):
    """A task about a contact."""

    id: str
    contact_id: str
    title: str
    owner: str | None
    due_at: datetime | None
    done: bool
    created_at: datetime
    done_at: datetime | None = Field(description="Null while it is open, as are the next three.")
    outcome: str | None
    reason: str | None
    done_by: str | None


class CrmTaskPage(BaseModel):
    """Tasks, the first due first; those without a due date come last."""

    tasks: list[CrmTask]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class TaskDone(Body):
    """How the task ended."""

    outcome: Word = Field("done", description="In one word, for conditions.", examples=["accepted"])
    reason: Word | None = Field(None, description="Why, in one word.", examples=["no-budget"])
    by: Person | None = None
    note: NoteText | None = Field(None, description="A note about the contact, kept in the CRM.")


def shown(task: crm_tasks.Task) -> CrmTask:
    """The task as the API shows it."""
    return CrmTask(**{name: getattr(task, name) for name in CrmTask.model_fields})


@router.get("/tasks", summary="List tasks for salespeople")
async def list_crm_tasks(
    ctx: Ctx,
    status: Annotated[Literal["open", "done"] | None, Query(description="Only open, or only done ones.")] = None,
    owner: Annotated[str | None, Query(max_length=200, description="Only of this owner; empty: of nobody.")] = None,
    contact_id: Annotated[Identifier | None, Query(description="Only about this contact.")] = None,
    due_before: Annotated[WrittenMoment | None, Query(description="Only due before this moment.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> CrmTaskPage:
    """Tasks, the first due first. If several filters are given, a task must match all of them."""
    listing = ["crm tasks", status, owner, contact_id, due_before.isoformat() if due_before else None]
    position = ctx.cursors.read(listing, cursor)
    wanted = Wanted(
        done=None if status is None else status == "done", owner=owner, contact_id=contact_id, due_before=due_before
    )
    after = None
    if position:
        due = str(position[0])
        after = (datetime.fromisoformat(due) if due else None, str(position[1]))
    async with ctx.db.transaction() as tx:
        if contact_id is not None:
            wanted = replace(wanted, contact_id=await merged_ids.current(tx, contact_id))
        found = await crm_tasks.page(tx, wanted, after=after, limit=limit + 1)
    page, following = ctx.cursors.cut(
        listing, found, limit, lambda one: [one.due_at.isoformat() if one.due_at else "", one.id]
    )
    return CrmTaskPage(tasks=[shown(one) for one in page], next=following)


@router.get("/tasks/{task_id}", summary="Read a task", responses=documented(404))
async def get_crm_task(task_id: TaskId, ctx: Ctx) -> CrmTask:
    """One task."""
    async with ctx.db.transaction() as tx:
        found = await crm_tasks.get(tx, task_id)
    if found is None:
        raise not_found(f"task {task_id}")
    return shown(found)


@router.post(
    "/tasks/{task_id}/complete",
    summary="Do a task",
    responses=documented(400, 404, 409, 413, 415, conflict="task-done"),
)
async def complete_crm_task(task_id: TaskId, body: TaskDone, ctx: Ctx) -> CrmTask:
    """Stores the outcome. Tracks receive `crm.task_completed`. Repeating it with the same outcome changes nothing."""
    async with ctx.db.transaction() as tx:
        done = await crm_tasks.complete(
            tx,
            task_id,
            body.outcome,
            reason=body.reason,
            by=body.by,
            note=body.note,
            pace=ctx.settings.pace_at_entry,
        )
    if done is None:
        raise not_found(f"task {task_id}")
    if not done.changed and (done.task.outcome, done.task.reason) != (body.outcome, body.reason):
        detail = f"The task was done before, with the outcome {done.task.outcome}."
        raise ProblemError(409, "task-done", detail)
    if done.accepted is not None:
        ctx.metrics.event("crm", done.accepted)
    return shown(done.task)
