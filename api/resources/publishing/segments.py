"""Segments: published as YAML or JSON, one version after another; each is filled in the background."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.bodies.reading import is_json, media_type, parse_json, read_text
from api.http.context import Ctx
from api.http.fields import SLUG
from api.http.pagination import CursorText, Limit
from api.http.problems import ProblemError, documented, not_found, not_published
from api.resources.publishing.document_errors import RefusedError
from api.resources.publishing.documents import SegmentDocument
from api.resources.publishing.publishing import Publishing
from api.resources.publishing.tracks import YAML_TYPES
from api.resources.publishing.versions import Versions, list_versions
from audience.segments.document import read_segment, read_segment_data
from store.audience.facts import estimated_contacts
from store.audience.segments import member_lists
from store.published import segments
from store.published.segments import Existing, SegmentVersion, State

router = APIRouter(prefix="/v1/segments", tags=["segments"], route_class=KeyedRoute, responses=documented(401, 422))

SegmentName = Annotated[str, Path(pattern=SLUG, description="The segment's name.", examples=["churn-risk"])]
_Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="A version of the segment.")]
_EXAMPLE = """segment: churn-risk
members:
  all:
    - contact.attributes.plan != "free"
    - {did_not: app.used, within: 14d}
"""


class PublishedSegment(BaseModel):
    """A segment's version after the call."""

    segment: str
    version: int
    created: bool = Field(description="False if the newest version was already the same.")


class SegmentSummary(BaseModel):
    """A segment."""

    segment: str
    version: int = Field(description="The newest version.")
    live: int | None = Field(description="The version whose members count; null while the first one is filled.")


class SegmentPage(BaseModel):
    """Segments by name."""

    segments: list[SegmentSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class Filling(BaseModel):
    """How far a version has come."""

    state: State = Field(
        description="`filling`: contacts are evaluated. `telling_entered`, `telling_left`: live, and those who were "
        "members at first, or no longer are, are told. `live`. `clearing`, `ended`: replaced or canceled."
    )
    paused: bool
    contacts: int = Field(description="How many contacts there are, about.")
    evaluated: int = Field(description="How many contacts were evaluated so far.")
    not_judged: int = Field(description="How many of them had too many events or too much data; they are no members.")
    existing: Existing
    live_at: datetime | None


class SegmentDetail(SegmentSummary):
    """One version of a segment."""

    published_at: datetime
    digest: str
    source: str = Field(description="The document as it was published.")
    members: int = Field(description="How many members the live version has now.")
    filling: Filling


class Steered(BaseModel):
    """Whether there was anything to pause, resume or cancel."""

    segment: str
    version: int
    done: bool


def read_document(name: str, source: str, data: Any = None) -> SegmentDocument:
    """Parse a segment from YAML, or from `data` if it came as JSON."""
    return SegmentDocument(name, source, read_segment(source, name) if data is None else read_segment_data(data, name))


def _read(name: str, kind: str, body: bytes) -> SegmentDocument:
    source = read_text(body)
    return read_document(name, source, parse_json(body) if is_json(kind) else None)


@router.put(
    "/{segment}",
    summary="Publish a segment",
    responses={201: {"model": PublishedSegment, "description": "A new version"}, **documented(400, 413, 415, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The segment as YAML 1.2 (problems then name their line), or the same as JSON.",
            "content": {
                "application/yaml": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE},
                "application/json": {"schema": {"type": "object", "required": ["segment", "members"]}},
            },
        }
    },
)
async def put_segment(
    segment: SegmentName,
    request: Request,
    response: Response,
    ctx: Ctx,
    existing: Annotated[
        Existing,
        Query(
            description="`enter`: those who are members when the version goes live are told as entering, and so enter "
            "tracks; those who were members by the version before and no longer are, are told as leaving."
        ),
    ] = "ignore",
) -> PublishedSegment:
    """Checks the segment, reports all problems at once, and makes it the newest version.

    All contacts are then evaluated in the background; until that is done the version before counts. Publishing the same
    segment again changes nothing.
    """
    kind = media_type(request)
    if not is_json(kind) and kind not in YAML_TYPES:
        raise ProblemError(415, "unsupported-media-type", "Send the segment as application/yaml or application/json.")
    document = await asyncio.to_thread(_read, segment, kind, await request.body())
    try:
        async with ctx.db.transaction() as tx:
            (published,) = await Publishing(tx).publish(segments=[document], existing=existing)
    except RefusedError as refused:
        raise not_published(f"segment {segment}", refused.errors) from None
    response.status_code = 201 if published.created else 200
    return PublishedSegment(segment=segment, version=published.version, created=published.created)


@router.get("", summary="List segments")
async def list_segments(ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> SegmentPage:
    """Every segment by name."""
    position = ctx.cursors.read(["segments"], cursor)
    async with ctx.db.transaction() as tx:
        found = await segments.list_all(tx, after=str(position[0]) if position else "", limit=limit + 1)
    shown, following = ctx.cursors.cut(["segments"], found, limit, lambda one: [one.name])
    listed = [SegmentSummary(segment=one.name, version=one.latest, live=one.live) for one in shown]
    return SegmentPage(segments=listed, next=following)


@router.get("/{segment}", summary="Read a segment", responses=documented(404))
async def get_segment(
    segment: SegmentName,
    ctx: Ctx,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Absent: the newest.")] = None,
) -> SegmentDetail:
    """One version with its source, how far it is filled, and how many members the live version has."""
    async with ctx.db.transaction() as tx:
        summary = await segments.get(tx, segment)
        found = await segments.version(tx, segment, version or summary.latest) if summary else None
        if summary is None or found is None:
            raise not_found(f"segment {segment}" + (f" with version {version}" if version else ""))
        members = await member_lists.size(tx, segment)
        total = await estimated_contacts(tx)
    return SegmentDetail(
        segment=segment,
        version=found.version,
        live=summary.live,
        published_at=found.published_at,
        digest=found.digest,
        source=found.source,
        members=members,
        filling=_filling(found, total),
    )


def _filling(version: SegmentVersion, total: int) -> Filling:
    return Filling(
        state=version.state,
        paused=version.paused,
        contacts=max(total, version.evaluated),
        evaluated=version.evaluated,
        not_judged=version.not_judged,
        existing=version.existing,
        live_at=version.live_at,
    )


@router.get("/{segment}/versions", summary="List a segment's versions", responses=documented(404))
async def list_segment_versions(
    segment: SegmentName, ctx: Ctx, limit: Limit = 50, cursor: CursorText = None
) -> Versions:
    """Newest first."""
    return await list_versions(ctx, "segment", segment, segments.versions, limit, cursor)


@router.post(
    "/{segment}/versions/{version}/{verb}",
    summary="Pause, resume or cancel the filling of a segment",
    responses=documented(404),
)
async def steer_segment(
    segment: SegmentName, version: _Version, verb: Literal["pause", "resume", "cancel"], ctx: Ctx
) -> Steered:
    """`pause` and `resume` hold for the filling, and for the telling of first members. `cancel` gives up a version that
    is being filled; the version before stays live."""
    async with ctx.db.transaction() as tx:
        if await segments.version(tx, segment, version) is None:
            raise not_found(f"segment {segment} with version {version}")
        done = await _steer(tx, segment, version, verb)
    return Steered(segment=segment, version=version, done=done)


async def _steer(tx: AsyncConnection, segment: str, version: int, verb: str) -> bool:
    if verb == "cancel":
        return await segments.cancel(tx, segment, version)
    return await segments.pause(tx, segment, version, paused=verb == "pause")
