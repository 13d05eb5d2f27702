"""What the built-in CRM holds about one contact: its stage, fields, notes and tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import Body, Object
from api.http.problems import documented, not_found
from api.resources.contacts import ContactId
from api.resources.crm.crm_tasks import CrmTask, NoteText, Person, shown
from store.people import contacts, crm_tasks
from store.people.crm import crm, crm_changes
from store.runs.events.events import Accepted

router = APIRouter(prefix="/v1/contacts", tags=["crm"], route_class=KeyedRoute, responses=documented(401, 404, 422))


class CrmNote(BaseModel):
    """A note about a contact."""

    body: str
    author: str | None = Field(description="Null for a note of a track.")
    created_at: datetime


class CrmCard(BaseModel):
    """What the CRM holds about a contact."""

    contact_id: str
    stage: str | None
    fields: dict[str, Any]
    notes: list[CrmNote] = Field(description=f"The newest first, at most {crm.MOST}.")
    tasks: list[CrmTask] = Field(description=f"At most {crm.MOST} open ones, the first due first.")


class CrmStage(Body):
    """The stage in the pipeline of sales."""

    stage: str | None = Field(min_length=1, max_length=200, description="`null` removes it.", examples=["opportunity"])


class CrmFields(Body):
    """Fields, merged name by name. `null` removes one."""

    fields: Annotated[Object, Field(min_length=1, examples=[{"deal_size": 12000}])]


class NewNote(Body):
    """A note about a contact."""

    body: NoteText
    author: Person | None = None
    id: str | None = Field(
        None, min_length=1, max_length=200, description="Your id of the note: sent again with it, it is kept once."
    )


@router.get("/{contact_id}/crm", summary="Read what the CRM holds about a contact")
async def get_contact_crm(contact_id: ContactId, ctx: Ctx) -> CrmCard:
    """Stage, fields, notes and open tasks. They are empty for a contact about whom nothing was written."""
    async with ctx.db.transaction() as tx:
        return await _read(tx, contact_id)


@router.put("/{contact_id}/crm/stage", summary="Set the stage", responses=documented(400, 413, 415))
async def put_crm_stage(contact_id: ContactId, body: CrmStage, ctx: Ctx) -> CrmCard:
    """Sets the stage and the attribute `crm_stage`. If it is another one, tracks receive `crm.stage_changed`."""
    pace = ctx.settings.pace_at_entry
    return await _changed(ctx, contact_id, lambda tx: crm_changes.set_stage(tx, contact_id, body.stage, pace=pace))


@router.put("/{contact_id}/crm/fields", summary="Set fields", responses=documented(400, 413, 415))
async def put_crm_fields(contact_id: ContactId, body: CrmFields, ctx: Ctx) -> CrmCard:
    """Sets fields and the attributes `crm_<field>`. Tracks receive `crm.field_changed` for each that changes."""
    pace = ctx.settings.pace_at_entry
    return await _changed(ctx, contact_id, lambda tx: crm_changes.set_fields(tx, contact_id, body.fields, pace=pace))


@router.post("/{contact_id}/crm/notes", status_code=201, summary="Add a note", responses=documented(400, 413, 415))
async def post_crm_note(contact_id: ContactId, body: NewNote, ctx: Ctx) -> CrmCard:
    """Adds a note. Tracks are not told."""
    async with ctx.db.transaction() as tx:
        await crm_changes.add_note(
            tx, contact_id, body.body, author=body.author, once=f"api:{body.id}" if body.id else None
        )
        return await _read(tx, contact_id)


async def _changed(
    ctx: Context, contact_id: str, change: Callable[[AsyncConnection], Awaitable[Sequence[Accepted] | None]]
) -> CrmCard:
    async with ctx.db.transaction() as tx:
        told = await change(tx)
        card = await _read(tx, contact_id)
    for accepted in told or ():
        ctx.metrics.event("crm", accepted)
    return card


async def _read(tx: AsyncConnection, contact_id: str) -> CrmCard:
    person = await contacts.get(tx, contact_id)
    if person is None:
        raise not_found(f"contact {contact_id}")
    card = await crm.get(tx, person.id)
    tasks = await crm_tasks.page(tx, crm_tasks.Wanted(done=False, contact_id=person.id), limit=crm.MOST)
    return CrmCard(
        contact_id=person.id,
        stage=card.stage if card else None,
        fields=dict(card.fields) if card else {},
        notes=[
            CrmNote(body=one.body, author=one.author, created_at=one.created_at)
            for one in reversed(card.notes if card else ())
        ],
        tasks=[shown(one) for one in tasks],
    )
