"""Events: what contacts did."""

from __future__ import annotations

from dataclasses import asdict, astuple, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import Body, EventId, EventMoment, EventName, Identifier, Object, WrittenMoment
from api.http.pagination import CursorText, Limit
from api.http.problems import documented
from store.runs.enrollments.enrolling_by_event import Reason
from store.runs.events import event_lists, events
from store.runs.events.event_lists import Wanted
from store.schema import merged_ids

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=KeyedRoute)


NameWanted = Annotated[EventName | None, Query(description="Name of the event.")]
Since = Annotated[
    WrittenMoment | None, Query(description="Accepted at this time or later.", examples=["2026-11-21T12:00:00Z"])
]
Until = Annotated[
    WrittenMoment | None, Query(description="Accepted before this time.", examples=["2026-11-22T12:00:00Z"])
]


class EventBody(Body):
    """Something a contact did."""

    event_id: EventId
    contact_id: Identifier
    name: EventName
    properties: Annotated[Object, Field(description="Data that conditions may read.", examples=[{"plan": "team"}])] = {}
    occurred_at: EventMoment | None = Field(
        default=None,
        description="When it happened, with the offset from UTC; absent: now. More than a minute ahead: the event "
        "waits for that time, at most 30 days.",
    )


class TrackNotEntered(BaseModel):
    """A track whose entry rule names the event, but the event did not enrol the contact in it."""

    track: str
    reason: Reason = Field(
        description="`no-key`, `bad-key`: the property with the track's object key is missing or no valid key. "
        "`too-old`: the event is older than the track's `max_age`. `reentry`: the re-entry rule refuses the contact. "
        "`live`: the contact has a live enrollment. `unless`: the entry, the track or the policy leaves the contact "
        "alone. `condition`: the entry's `where` is not true. `machine`: a machine clicked or opened, not a person."
    )


class SegmentChange(BaseModel):
    """A segment that the contact entered or left."""

    segment: str
    change: Literal["entered", "left"]


class EventAccepted(BaseModel):
    """The event and its deliveries are stored and cannot be lost any more."""

    event_id: str
    matched: int = Field(description="Number of live enrollments that react to it.")
    enrolled: int = Field(description="Number of enrollments that it started by entry rules.")
    duplicate: bool = Field(description="The event had been accepted before, so nothing happened again.")
    dropped: Literal["erased", "expired"] | Reason | None = Field(
        description="Why the event had no effect. `erased`: the contact has been erased; `expired`: it is older than "
        "events of its name are kept. Either was counted and not stored. Otherwise the most important reason in "
        "`not_enrolled`."
    )
    waits_until: datetime | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="The event's time, if that is yet to come: then the event has its effects. Otherwise left out.",
    )
    merged_into: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="The contact whose event it is, if `contact_id` was merged into that contact; otherwise left out.",
    )
    not_enrolled: list[TrackNotEntered] = Field(
        description="Tracks whose entry rule names the event, but in which it started no run."
    )
    segments: list[SegmentChange] = Field(
        description="Segments that the contact entered or left in the transaction that stored the event, in order."
    )


class StoredEvent(BaseModel):
    """An event as it was received."""

    event_id: str
    contact_id: str
    name: str
    properties: dict[str, Any] = Field(description="Empty once the contact is erased.")
    occurred_at: datetime
    received_at: datetime = Field(description="When it was accepted.")


class EventPage(BaseModel):
    """Events, newest first by the time of acceptance."""

    events: list[StoredEvent]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


async def page_of(ctx: Context, wanted: Wanted, limit: int, cursor: str | None) -> EventPage:
    """One page of the matching events."""
    listing = ["events", *(None if value is None else str(value) for value in astuple(wanted))]
    position = ctx.cursors.read(listing, cursor)
    before = (datetime.fromisoformat(str(position[0])), str(position[1])) if position else None
    async with ctx.db.transaction() as tx:
        if wanted.contact_id is not None:
            wanted = replace(wanted, contact_id=await merged_ids.current(tx, wanted.contact_id))
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
    """Newest first by the time of acceptance, including Perennial's own events such as `email.clicked`."""
    return await page_of(ctx, Wanted(contact_id, name, since=since, until=until), limit, cursor)


@router.post(
    "",
    status_code=202,
    summary="Report what a contact did",
    responses=documented(400, 401, 413, 415, 422),
)
async def post_event(body: EventBody, ctx: Ctx) -> EventAccepted:
    """Stores the event and its effects in one transaction, then answers.

    If no live enrollment of the contact can react to the event, and it starts none, Temporal is not called. An event of
    the future is stored at once, and has its effects within 10 seconds of its time.
    """
    event = events.Event(
        event_id=body.event_id,
        contact_id=body.contact_id,
        name=body.name,
        properties=body.properties,
        occurred_at=body.occurred_at or datetime.now(UTC),
    )
    now = datetime.now(UTC)
    intake = ctx.future_events if event.occurred_at and event.occurred_at > now else ctx.events
    accepted = await intake.accept(event)
    ctx.metrics.event("api", accepted)
    return EventAccepted(
        event_id=body.event_id,
        matched=accepted.matched,
        enrolled=accepted.enrolled,
        duplicate=accepted.duplicate,
        dropped=accepted.dropped,
        waits_until=accepted.waits_until,
        merged_into=accepted.merged_into,
        not_enrolled=[TrackNotEntered(track=one.track, reason=one.reason) for one in accepted.not_enrolled],
        segments=[
            SegmentChange(segment=one.segment, change="entered" if one.entered else "left") for one in accepted.segments
        ],
    )
