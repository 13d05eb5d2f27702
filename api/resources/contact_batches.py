"""Create and change contacts, up to a thousand at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, WithJsonSchema

from api.http.auth import KeyedLenientBatchRoute
from api.http.bodies.batches import judged
from api.http.context import Ctx
from api.http.fields import Body, Identifier
from api.http.problems import FieldProblem, documented
from api.resources.contacts import ContactChange, changes_of
from store.people import contacts

MAX_ITEMS = 1_000

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], route_class=KeyedLenientBatchRoute)


class ContactItem(ContactChange):
    """A contact's id and the changes, as in `PUT /v1/contacts/{contact_id}`."""

    id: Identifier


class ContactBatch(Body):
    """Up to 1,000 contacts. Several items for one contact are applied in the order of the list."""

    contacts: Annotated[
        list[Any],
        Field(max_length=MAX_ITEMS, description=f"At most {MAX_ITEMS}; each is checked by itself."),
        WithJsonSchema({"type": "array", "maxItems": MAX_ITEMS, "items": {"$ref": "#/components/schemas/ContactItem"}}),
    ]


class ContactBatchItem(BaseModel):
    """The result of one item."""

    index: int = Field(description="Place in `contacts`, from 0.")
    status: Literal[200, 201, 422] = Field(description="The status of the same request for this item alone.")
    contact_id: str | None = None
    errors: list[FieldProblem] = []


class ContactBatchResult(BaseModel):
    """One result per item, in order."""

    results: list[ContactBatchItem]


@router.post("/batch", summary="Create or change up to 1,000 contacts", responses=documented(400, 401, 413, 415, 422))
async def post_contacts(body: ContactBatch, ctx: Ctx) -> ContactBatchResult:
    """One result per item, in order. A bad item does not affect the others. One transaction for all.

    Live enrollments that wait for a changed attribute are signaled, with lower priority than live events.
    """
    sound, wrong = judged(body.contacts, ContactItem)
    results = {index: ContactBatchItem(index=index, status=422, errors=errors) for index, errors in wrong.items()}
    items = [(one.id, changes_of(one)) for one in sound.values()]
    async with ctx.db.transaction() as tx:
        changed = await contacts.upsert_many(tx, items, bulk=True, pace=ctx.settings.pace_at_entry)
    for index, done in zip(sound, changed, strict=True):
        status: Literal[200, 201] = 201 if done.created else 200
        results[index] = ContactBatchItem(index=index, status=status, contact_id=done.contact.id)
    return ContactBatchResult(results=[results[index] for index in range(len(body.contacts))])
