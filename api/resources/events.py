"""Events: what contacts did."""

from __future__ import annotations

from dataclasses import asdict, astuple
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import Body, EventId, EventName, Identifier, Moment, Object, WrittenMoment
from api.http.pagination import CursorText, Limit
from api.http.problems import documented
from store.runs import event_lists, events
from store.runs.enrolling_by_event import Reason
from store.runs.event_lists import Wanted

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=KeyedRoute)


NameWanted = Annotated[EventName | None, Query(description="Of this name.")]
Since = Annotated[WrittenMoment | None, Query(description="Accepted then or later.", examples=["2026-11-21T12:00:00Z"])]
Until = Annotated[WrittenMoment | None, Query(description="Accepted before then.", examples=["2026-11-22T12:00:00Z"])]


class EventBody(Body):
    """Something a contact did."""

    event_id: EventId
    contact_id: Identifier
    name: EventName
    properties: Annotated[Object, Field(description="What conditions may read.", examples=[{"plan": "team"}])] = {}
    occurred_at: Moment | None = Field(
        default=None, description="When it happened, with its offset; absent or in the future: now."
    )


class TrackNotEntered(BaseModel):
    """A track that the event did not enrol the contact in, though its name begins it."""

    track: str
    reason: Reason = Field(
        description="`no-key`, `bad-key`: the property that the track has one run per is missing, or cannot be a key. "
        "`too-old`: it happened longer ago than the track's `max_age`. `reentry`: the re-entry rule does not let them "
        "in again. `live`: they are on it. `unless`, `condition`: the entry's `unless` holds, or its `where` does not. "
        "`machine`: no person clicked or opened."
    )


class EventAccepted(BaseModel):
    """The event is stored with its deliveries; nothing that happens later loses it."""

    event_id: str
    matched: int = Field(description="Live enrollments that react to it.")
    enrolled: int = Field(description="Enrollments that it began by a track's entry rule.")
    duplicate: bool = Field(description="It had been accepted before; nothing happened again.")
    dropped: Literal["erased"] | Reason | None = Field(
        description="Why nothing came of it. `erased`: the contact has been erased; the event was counted and "
        "forgotten. Else it could have begun a run, and the gravest reason of `not_enrolled` why it did not."
    )
    not_enrolled: list[TrackNotEntered] = Field(
        description="The tracks that such an event begins a run in, where it did not."
    )


class StoredEvent(BaseModel):
    """An event as it was told."""

    event_id: str
    contact_id: str
    name: str
    properties: dict[str, Any] = Field(description="Empty once the contact is erased.")
    occurred_at: datetime
    received_at: datetime = Field(description="When it was accepted.")


class EventPage(BaseModel):
    """Events, those accepted last first."""

    events: list[StoredEvent]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


async def page_of(ctx: Context, wanted: Wanted, limit: int, cursor: str | None) -> EventPage:
    """One page of the events that are wanted."""
    listing = ["events", *(None if value is None else str(value) for value in astuple(wanted))]
    position = ctx.cursors.read(listing, cursor)
    before = (datetime.fromisoformat(str(position[0])), str(position[1])) if position else None
    async with ctx.db.transaction() as tx:
        found = await event_lists.page(tx, wanted, before=before, limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.received_at.isoformat(), one.event_id])
    return EventPage(
        events=[StoredEvent(**asdict(one)) for one in shown],
        next=following,
    )


@router.get("", summary="List events", responses=documented(401, 422))
async def list_events(
    ctx: Ctx,
    contact_id: Annotated[Identifier | None, Query()] = None,
    name: NameWanted = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> EventPage:
    """Those accepted last first, Perennial's own (`email.clicked` and the like) among them."""
    return await page_of(ctx, Wanted(contact_id, name, since=since, until=until), limit, cursor)


@router.post(
    "",
    status_code=202,
    summary="Tell what a contact did",
    responses=documented(400, 401, 413, 415, 422),
)
async def post_event(body: EventBody, ctx: Ctx) -> EventAccepted:
    """Stores the event and what follows from it in one transaction, then answers.

    An event that no live enrollment of the contact can react to, and that begins none, costs Temporal nothing.
    """
    event = events.Event(
        event_id=body.event_id,
        contact_id=body.contact_id,
        name=body.name,
        properties=body.properties,
        occurred_at=body.occurred_at or datetime.now(UTC),
    )
    accepted = await ctx.events.accept(event)
    ctx.metrics.event("api", accepted)
    return EventAccepted(
        event_id=body.event_id,
        matched=accepted.matched,
        enrolled=accepted.enrolled,
        duplicate=accepted.duplicate,
        dropped=accepted.dropped,
        not_enrolled=[TrackNotEntered(track=one.track, reason=one.reason) for one in accepted.not_enrolled],
    )
