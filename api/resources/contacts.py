"""Contacts: the people that tracks send messages to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import Body, Email, Identifier, Locale, Object, Phone, Zone
from api.http.pagination import CursorText, Limit
from api.http.problems import documented, not_found
from store.people import contact_search, contacts, erasure
from store.people.contact_search import Wanted
from store.schema import rows
from tracks.contacts.contact_fields import ways_to_write

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
            description="Any data that tracks and templates use. `null` removes a name.",
            examples=[{"first_name": "Ada", "role": "engineer"}],
        ),
    ] = {}


class ContactScore(BaseModel):
    """A contact's score at this moment."""

    value: float
    grade: str


class Contact(BaseModel):
    """A contact as stored."""

    id: str
    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    attributes: dict[str, Any]
    segments: list[str] = Field(description="The segments that the contact is a member of, by name.")
    scores: dict[str, ContactScore] = Field(description="The contact's scores now, by name.")
    paused_until: datetime | None = Field(description="No promotional messages go to the contact until then.")
    created_at: datetime | None
    updated_at: datetime | None


class ContactPage(BaseModel):
    """Contacts, ordered by the bytes of their ids."""

    contacts: list[Contact]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class Erased(BaseModel):
    """The result of erasing."""

    contact_id: str = Field(description="Of the contact that was erased: of the survivor, if the named one was merged.")
    existed: bool = Field(description="False if there was nothing to erase.")
    runs_ended: int = Field(description="Number of live enrollments that were told to end.")


def changes_of(body: ContactChange) -> contacts.Changes:
    """The changes in a body."""
    changes: contacts.Changes = {}
    for name in body.model_fields_set & ContactChange.model_fields.keys():
        changes[name] = getattr(body, name)  # type: ignore[literal-required]
    return changes


def _shown(found: rows.Contact) -> Contact:
    return Contact(
        id=found.id,
        email=found.email,
        phone=found.phone,
        timezone=found.timezone,
        locale=found.locale,
        attributes=dict(found.attributes or {}),
        segments=list(found.segments),
        scores={name: ContactScore(**one) for name, one in found.scores_at().items()},
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
    """Creates the contact, or changes what the body names. An id that was merged changes the surviving contact.

    Live enrollments that wait for a changed attribute are signaled.
    """
    async with ctx.db.transaction() as tx:
        result = await contacts.upsert(tx, contact_id, changes_of(body), pace=ctx.settings.pace_at_entry)
    response.status_code = 201 if result.created else 200
    return _shown(result.contact)


@router.get("", summary="List contacts, or look for some")
async def list_contacts(
    ctx: Ctx,
    email: Annotated[
        Email | None, Query(description="Email address, in upper or lower case. Proxies may log it.")
    ] = None,
    phone: Annotated[Phone | None, Query(description="Phone number. Proxies may log it.")] = None,
    attribute: Annotated[
        str | None,
        Query(
            pattern=r"^[^:]+:",
            max_length=1_000,
            description="`name:value`: an attribute and its value: a text, a number, `true` or `false`.",
            examples=["plan:team"],
        ),
    ] = None,
    id_prefix: Annotated[str | None, Query(min_length=1, max_length=128, description="How the id begins.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> ContactPage:
    """Contacts ordered by id. If several filters are given, a contact must match all of them."""
    listing = ["contacts", email, phone, attribute, id_prefix]
    position = ctx.cursors.read(listing, cursor)
    name, _, value = (attribute or "").partition(":")
    wanted = Wanted(
        emails=ways_to_write(email) if email else (),
        phone=phone,
        attribute=(name, value) if name else None,
        prefix=id_prefix or "",
    )
    async with ctx.db.transaction() as tx:
        found = await contact_search.page(tx, wanted, after=str(position[0]) if position else None, limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.id])
    return ContactPage(contacts=[_shown(one) for one in shown], next=following)


@router.get("/{contact_id}", summary="Read a contact", responses=documented(404))
async def get_contact(contact_id: ContactId, ctx: Ctx) -> Contact:
    """The contact as stored now; for an id that was merged, the surviving contact."""
    async with ctx.db.transaction() as tx:
        found = await contacts.get(tx, contact_id)
    if found is None:
        raise not_found(f"contact {contact_id}")
    return _shown(found)


@router.delete("/{contact_id}", summary="Erase a person")
async def delete_contact(contact_id: ContactId, ctx: Ctx) -> Erased:
    """Deletes all data about the person and ends their runs.

    An id that was merged is the surviving contact's: with it the whole person is erased, and every id merged into it.
    Counts stay. The addresses stay suppressed, as hashes. Temporal's histories hold no personal data, so there is
    nothing to erase in them. Repeating the call is harmless.
    """
    async with ctx.db.transaction() as tx:
        erased = await erasure.erase(tx, contact_id)
    return Erased(contact_id=erased.merged_into or contact_id, existed=erased.existed, runs_ended=erased.ended)
