"""Contacts: who the tracks write to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import Body, Email, Identifier, Locale, Object, Phone, Zone
from api.http.problems import documented, not_found
from store.people import contacts
from store.schema import rows

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], route_class=KeyedRoute, responses=documented(401, 422))

ContactId = Annotated[Identifier, Path(description="Your id of the contact.")]


class ContactChange(Body):
    """What to change. A field left out keeps its value; `null` removes it. Attributes are merged name by name."""

    email: Email | None = None
    phone: Phone | None = None
    timezone: Zone | None = None
    locale: Locale | None = None
    attributes: Annotated[
        Object,
        Field(
            description="Anything that tracks and templates should know. `null` removes a name.",
            examples=[{"first_name": "Ada", "role": "engineer"}],
        ),
    ] = {}


class Contact(BaseModel):
    """A contact as it is kept."""

    id: str
    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    attributes: dict[str, Any]
    paused_until: datetime | None = Field(description="Nothing promotional goes to the contact until then.")
    created_at: datetime | None
    updated_at: datetime | None


class Erased(BaseModel):
    """What erasing did."""

    contact_id: str
    existed: bool = Field(description="False where there was nothing to erase (any more).")
    runs_ended: int = Field(description="Live enrollments that were told to end.")


def _shown(found: rows.Contact) -> Contact:
    return Contact(
        id=found.id,
        email=found.email,
        phone=found.phone,
        timezone=found.timezone,
        locale=found.locale,
        attributes=dict(found.attributes or {}),
        paused_until=found.paused_until,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


@router.put(
    "/{contact_id}",
    summary="Create or change a contact",
    responses={201: {"model": Contact, "description": "Created"}, **documented(400, 413, 415)},
)
async def put_contact(contact_id: ContactId, body: ContactChange, response: Response, ctx: Ctx) -> Contact:
    """Creates the contact, or changes what the body names.

    Live enrollments that wait on an attribute which this changes are told.
    """
    changes: contacts.Changes = {}
    for name in body.model_fields_set:
        changes[name] = getattr(body, name)  # type: ignore[literal-required]
    async with ctx.db.transaction() as tx:
        result = await contacts.upsert(tx, contact_id, changes)
    response.status_code = 201 if result.created else 200
    return _shown(result.contact)


@router.get("/{contact_id}", summary="Read a contact", responses=documented(404))
async def get_contact(contact_id: ContactId, ctx: Ctx) -> Contact:
    """The contact as it is kept now."""
    async with ctx.db.transaction() as tx:
        found = await contacts.get(tx, contact_id)
    if found is None:
        raise not_found(f"contact {contact_id}")
    return _shown(found)


@router.delete("/{contact_id}", summary="Erase a person")
async def delete_contact(contact_id: ContactId, ctx: Ctx) -> Erased:
    """Deletes everything that is known about the person and ends their runs.

    Counts stay; the addresses are kept as hashes, suppressed. Temporal's histories hold nothing personal,
    so there is nothing to erase in them. Repeating it is harmless.
    """
    async with ctx.db.transaction() as tx:
        erased = await contacts.erase(tx, contact_id)
    return Erased(contact_id=contact_id, existed=erased.existed, runs_ended=erased.ended)
