"""The history of one contact: events, messages and enrollments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import SLUG
from api.http.pagination import CursorText, Limit
from api.http.problems import documented, not_found
from api.resources import enrollments, events, messages
from api.resources.contacts import ContactId
from api.resources.enrollments import EnrollmentPage
from api.resources.events import EventPage
from api.resources.messages import MessagePage
from store.people import contacts
from store.runs.events import event_lists
from store.schema.rows import Channel, EnrollmentStatus
from store.sending.messages import message_lists

router = APIRouter(
    prefix="/v1/contacts", tags=["contacts"], route_class=KeyedRoute, responses=documented(401, 404, 422)
)


@router.get("/{contact_id}/events", summary="List a contact's events")
async def list_contact_events(
    contact_id: ContactId,
    ctx: Ctx,
    name: events.NameWanted = None,
    since: events.Since = None,
    until: events.Until = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> EventPage:
    """The contact's events, newest first, including providers' reports about messages."""
    await _known(ctx, contact_id)
    wanted = event_lists.Wanted(contact_id, name, since=since, until=until)
    return await events.page_of(ctx, wanted, limit, cursor)


@router.get("/{contact_id}/messages", summary="List a contact's messages")
async def list_contact_messages(
    contact_id: ContactId,
    ctx: Ctx,
    track: Annotated[str | None, Query(pattern=SLUG)] = None,
    channel: Annotated[Channel | None, Query()] = None,
    since: messages.Since = None,
    until: messages.Until = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> MessagePage:
    """The messages that were sent to the contact or skipped, and why, newest first."""
    await _known(ctx, contact_id)
    wanted = message_lists.Wanted(contact_id, track, channel=channel, since=since, until=until)
    return await messages.page_of(ctx, wanted, limit, cursor)


@router.get("/{contact_id}/enrollments", summary="List a contact's enrollments")
async def list_contact_enrollments(
    contact_id: ContactId,
    ctx: Ctx,
    track: Annotated[str | None, Query(pattern=SLUG)] = None,
    status: Annotated[EnrollmentStatus | None, Query()] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> EnrollmentPage:
    """The contact's present and past enrollments, newest first."""
    await _known(ctx, contact_id)
    return await enrollments.page_of(ctx, track, contact_id, status, limit, cursor)


async def _known(ctx: Context, contact_id: str) -> None:
    """Raise ProblemError, 404, if the contact does not exist or was erased."""
    async with ctx.db.transaction() as tx:
        if await contacts.get(tx, contact_id) is None:
            raise not_found(f"contact {contact_id}")
