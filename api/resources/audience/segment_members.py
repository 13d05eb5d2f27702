"""The members of a segment: listed, exported, explained and checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.pagination import CursorText, Limit
from api.http.problems import ProblemError, documented, not_found
from api.resources.audience.decisions import ContactDecision, decide, staying
from api.resources.audience.streamed_rows import AT_ONCE, CONTENT, FileFormat, Row, streamed
from api.resources.contacts import ContactId
from api.resources.publishing.segments import SegmentName
from store.audience.segments import member_lists, segment_check, segment_sizes
from store.people import contacts
from store.published import segments
from store.published.segments import SegmentSummary

router = APIRouter(
    prefix="/v1/segments", tags=["segments"], route_class=KeyedRoute, responses=documented(401, 404, 422)
)
_NOT_LIVE = documented(409, conflict="segment-not-live")

CHECKED = 500
"""Contacts of one call of the check."""


class SegmentMember(BaseModel):
    """A member."""

    contact_id: str
    since: datetime
    changes_at: datetime | None = Field(description="Not a member after this, or later, if nothing else happens.")


class MemberPage(BaseModel):
    """Members, ordered by the bytes of their ids."""

    members: list[SegmentMember]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class SegmentDifference(BaseModel):
    """A contact whose stored membership is not what the facts give."""

    contact_id: str
    stored: bool
    evaluated: bool


class SegmentCheck(BaseModel):
    """Stored members beside a full evaluation, for some contacts."""

    contacts: int = Field(description="How many contacts were compared.")
    late: int = Field(description="How many of them are due to be looked at this moment, and are not compared.")
    differences: list[SegmentDifference] = Field(description="Should be empty.")
    next: str | None = Field(description="Cursor of the next contacts; null if these were the last.")


@router.get("/{segment}/members", summary="List a segment's members", responses=_NOT_LIVE)
async def list_members(segment: SegmentName, ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> MemberPage:
    """The members by the live version. While the first version is filled, 409: there are no members yet."""
    await _live(ctx, segment)
    listing = ["members", segment]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        found = await member_lists.page(tx, segment, after=str(position[0]) if position else "", limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.contact_id])
    listed = [SegmentMember(contact_id=one.contact_id, since=one.since, changes_at=one.changes_at) for one in shown]
    return MemberPage(members=listed, next=following)


@router.get(
    "/{segment}/export",
    summary="Export a segment's members",
    response_class=StreamingResponse,
    responses={**_NOT_LIVE, 200: {"content": CONTENT, "description": "One line a member"}},
)
async def export_members(segment: SegmentName, ctx: Ctx, file_format: FileFormat = "csv") -> StreamingResponse:
    """Streams all members: `contact_id`, `since`, `changes_at`. Who changes meanwhile may be in it or not."""
    await _live(ctx, segment)
    return streamed(("contact_id", "since", "changes_at"), _pages(ctx, segment), file_format)


async def _pages(ctx: Context, segment: str) -> AsyncIterator[Sequence[Row]]:
    after = ""
    while True:
        async with ctx.db.transaction() as tx:
            found = await member_lists.page(tx, segment, after=after, limit=AT_ONCE)
        if not found:
            return
        yield [
            {
                "contact_id": one.contact_id,
                "since": one.since.isoformat(),
                "changes_at": one.changes_at.isoformat() if one.changes_at else None,
            }
            for one in found
        ]
        after = found[-1].contact_id


@router.get("/{segment}/members/{contact_id}", summary="Explain a contact's membership")
async def explain_member(segment: SegmentName, contact_id: ContactId, ctx: Ctx) -> ContactDecision:
    """Whether the contact is a member by the live version now, and why, leaf by leaf with the events that decide."""
    summary, now = await _known(ctx, segment), datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        person = await contacts.get(tx, contact_id)
        if person is None:
            raise not_found(f"contact {contact_id}")
        definition = await segments.definition(tx, segment, summary.live or summary.latest)
        decision = await decide(tx, definition.members, person, now)
        known = await member_lists.stored(tx, segment, [person.id])
        return staying(decision, known.get(person.id), definition.min_stay, now)


class SegmentSize(BaseModel):
    """One day of a segment."""

    day: date = Field(description="A day of UTC.")
    members: int = Field(description="How many members there were when they were last counted on that day.")
    entered: int = Field(description="How many were told as entering on that day.")
    left: int = Field(description="How many were told as leaving on that day.")


class SegmentSizes(BaseModel):
    """Days, the newest first."""

    days: list[SegmentSize]


@router.get("/{segment}/sizes", summary="List a segment's size by day")
async def list_sizes(
    segment: SegmentName,
    ctx: Ctx,
    days: Annotated[int, Query(ge=1, le=1_000, description="How many days back, today included.")] = 30,
) -> SegmentSizes:
    """How many members there were each day, and how many entered and left. Counted every quarter of an hour."""
    await _known(ctx, segment)
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    async with ctx.db.transaction() as tx:
        found = await segment_sizes.sizes(tx, segment, since=since, limit=days)
    listed = [SegmentSize(day=one.day, members=one.members, entered=one.entered, left=one.left) for one in found]
    return SegmentSizes(days=listed)


@router.get("/{segment}/check", summary="Check a segment's members", responses=_NOT_LIVE)
async def check_segment(segment: SegmentName, ctx: Ctx, cursor: CursorText = None) -> SegmentCheck:
    """Compares stored memberships with a full evaluation from the facts, for the next 500 contacts."""
    summary = await _live(ctx, segment)
    listing = ["segment-check", segment]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        checked = await segment_check.check(
            tx, summary, datetime.now(UTC), after=str(position[0]) if position else "", limit=CHECKED
        )
    return SegmentCheck(
        contacts=checked.contacts,
        late=checked.late,
        differences=[
            SegmentDifference(contact_id=one.contact_id, stored=one.stored, evaluated=one.evaluated)
            for one in checked.differences
        ],
        next=ctx.cursors.make(listing, [checked.last]) if checked.last is not None else None,
    )


async def _known(ctx: Context, segment: str) -> SegmentSummary:
    async with ctx.db.transaction() as tx:
        summary = await segments.get(tx, segment)
    if summary is None:
        raise not_found(f"segment {segment}")
    return summary


async def _live(ctx: Context, segment: str) -> SegmentSummary:
    """The segment. Raises ProblemError, 409, while its first version is filled."""
    summary = await _known(ctx, segment)
    if summary.live is None:
        raise ProblemError(409, "segment-not-live", f"The first version of {segment} is still being filled.")
    return summary
