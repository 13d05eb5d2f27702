"""Tracks: published as YAML or JSON, one immutable version after another."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.bodies.reading import is_json, media_type, parse_json, read_text
from api.http.context import Ctx
from api.http.fields import SLUG
from api.http.pagination import CursorText, Limit
from api.http.problems import FieldProblem, ProblemError, documented, not_found, not_published
from api.resources.publishing.document_errors import RefusedError, track_errors
from api.resources.publishing.documents import TrackDocument
from api.resources.publishing.publishing import Publishing
from api.resources.publishing.versions import Versions, list_versions
from store.audience.facts import estimated_contacts
from store.published import date_segments, tracks
from store.published.segments import State
from tracks.checks.track_document import read_track, read_track_data, track_to_data
from tracks.model.track import Track

router = APIRouter(prefix="/v1/tracks", tags=["tracks"], route_class=KeyedRoute, responses=documented(401, 422))

TrackName = Annotated[str, Path(pattern=SLUG, description="The track's name.", examples=["trial-to-paid"])]
YAML_TYPES = {"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"}
_EXAMPLE = """track: trial-to-paid
entry: {event: trial.started}
goal: {event: subscription.started}
defaults:
  email: {from: 'Ada <ada@acme.test>'}
steps:
  - id: settle
    wait: 2d
  - id: welcome
    email: {template: trial-welcome}
"""


class PublishedTrack(BaseModel):
    """A track's version after the call."""

    track: str
    version: int
    created: bool = Field(description="False if the newest version was already the same.")
    warnings: list[FieldProblem] = Field(default=[], description="Valid, but possibly a mistake: please check.")


class TrackEntry(BaseModel):
    """One of the ways in which a track is entered."""

    entry: str | None = Field(description="Its name, as `entry` of the enrollments that it began.")
    event: str = Field(description="The event that enrols.")


class TrackSummary(BaseModel):
    """A track and its newest version."""

    track: str
    version: int
    reentry: str = Field(description="The re-entry rule in words.", examples=["never"])
    entries: list[TrackEntry] = Field(description="What enrols by itself; empty: the API only.")
    published_at: datetime


class DateProgress(BaseModel):
    """How far the contacts are registered for an entry by a date. The date counts meanwhile: a moment that comes before
    a contact's turn is told when it is the contact's turn."""

    entry: str = Field(description="The entry's name.")
    attribute: str
    state: State = Field(
        description="`filling`: contacts are registered one after another. `live`: all are. `clearing`, `ended`: no "
        "newest version of a track has this date any more."
    )
    contacts: int = Field(description="How many contacts there are, about.")
    evaluated: int = Field(description="How many contacts were looked at so far.")


class TrackDetail(BaseModel):
    """One version of a track."""

    track: str
    version: int
    digest: str
    published_at: datetime
    source: str = Field(description="The document as it was published.")
    data: dict[str, Any] = Field(description="The same track in canonical form.")
    dates: list[DateProgress] = Field(description="Its entries by a date.")


class TrackPage(BaseModel):
    """Tracks by name."""

    tracks: list[TrackSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


def read_document(name: str, source: str, data: Any = None) -> TrackDocument:
    """Parse a track from YAML, or from `data` if it came as JSON."""
    return TrackDocument.read(name, source, read_track(source, name) if data is None else read_track_data(data, name))


def _read(name: str, kind: str, body: bytes) -> TrackDocument:
    source = read_text(body)
    return read_document(name, source, parse_json(body) if is_json(kind) else None)


@router.put(
    "/{track}",
    summary="Publish a track",
    response_model_exclude_none=True,
    responses={201: {"model": PublishedTrack, "description": "A new version"}, **documented(400, 413, 415)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The track as YAML 1.2 (problems then name their line), or the same as JSON.",
            "content": {
                "application/yaml": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE},
                "application/json": {"schema": {"type": "object", "required": ["track", "steps"]}},
            },
        }
    },
)
async def put_track(track: TrackName, request: Request, response: Response, ctx: Ctx) -> PublishedTrack:
    """Checks the track, reports all problems at once, and makes it the newest version.

    Live enrollments keep the version that they began with. Publishing the same track again changes nothing. Templates,
    topics and tracks that it names must be published before it, or with it in one deploy.
    """
    kind = media_type(request)
    if not is_json(kind) and kind not in YAML_TYPES:
        raise ProblemError(415, "unsupported-media-type", "Send the track as application/yaml or application/json.")
    document = await asyncio.to_thread(_read, track, kind, await request.body())
    try:
        async with ctx.db.transaction() as tx:
            (published,) = await Publishing(tx).publish(tracks=[document])
    except RefusedError as refused:
        raise not_published(f"track {track}", refused.errors) from None
    response.status_code = 201 if published.created else 200
    warnings = list(track_errors(document.reading.warnings()))
    return PublishedTrack(track=track, version=published.version, created=published.created, warnings=warnings)


@router.get("", summary="List tracks")
async def list_tracks(ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> TrackPage:
    """Every track with its newest version, by name."""
    position = ctx.cursors.read(["tracks"], cursor)
    async with ctx.db.transaction() as tx:
        found = await tracks.list_all(tx, after=str(position[0]) if position else "", limit=limit + 1)
    shown, following = ctx.cursors.cut(["tracks"], found, limit, lambda one: [one.name])
    return TrackPage(
        tracks=[
            TrackSummary(
                track=one.name,
                version=one.latest,
                reentry=str(one.rules.reentry),
                entries=[TrackEntry(entry=entry.name, event=entry.event) for entry in one.rules.entries],
                published_at=one.published_at,
            )
            for one in shown
        ],
        next=following,
    )


@router.get("/{track}", summary="Read a track", responses=documented(404))
async def get_track(
    track: TrackName,
    ctx: Ctx,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Absent: the newest.")] = None,
) -> TrackDetail:
    """One version, as it was published and in its canonical form; and how far contacts are registered for its dates."""
    async with ctx.db.transaction() as tx:
        found = await tracks.version(tx, track, version)
        if found is None:
            raise not_found(f"track {track}" + (f" with version {version}" if version else ""))
        dates = await _dates(tx, found.track)
    return TrackDetail(
        track=found.name,
        version=found.version,
        digest=found.digest,
        published_at=found.published_at,
        source=found.source,
        data=track_to_data(found.track),
        dates=dates,
    )


async def _dates(tx: AsyncConnection, track: Track) -> list[DateProgress]:
    dated: list[DateProgress] = []
    total: int | None = None
    for entry in track.entries:
        moments = entry.moments(track.defaults.timezone)
        version = await date_segments.progress(tx, moments) if moments else None
        if moments is None or version is None:
            continue
        if total is None:
            total = await estimated_contacts(tx)
        dated.append(
            DateProgress(
                entry=entry.name,
                attribute=moments.attribute,
                state=version.state,
                contacts=max(total, version.evaluated),
                evaluated=version.evaluated,
            )
        )
    return dated


@router.get("/{track}/versions", summary="List a track's versions", responses=documented(404))
async def list_track_versions(track: TrackName, ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> Versions:
    """Newest first."""
    return await list_versions(ctx, "track", track, tracks.versions, limit, cursor)
