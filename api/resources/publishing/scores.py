"""Scores: published as YAML or JSON, one version after another; each is filled in the background."""

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
from api.resources.publishing.documents import ScoreDocument
from api.resources.publishing.publishing import Publishing
from api.resources.publishing.tracks import YAML_TYPES
from api.resources.publishing.versions import Versions, list_versions
from audience.scores.document import read_score, read_score_data
from store.audience.facts import estimated_contacts
from store.audience.scores import lists
from store.published import scores
from store.published.scores import Existing, ScoreVersion, State

router = APIRouter(prefix="/v1/scores", tags=["scores"], route_class=KeyedRoute, responses=documented(401, 422))

ScoreName = Annotated[str, Path(pattern=SLUG, description="The score's name.", examples=["lead"])]
_Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="A version of the score.")]
_EXAMPLE = """score: lead
half_life: 14d
behaviour:
  - {id: pricing, event: page.viewed, where: event.properties.path == "/pricing", points: 10}
grades: {cold: , hot: 40}
"""


class PublishedScore(BaseModel):
    """A score's version after the call."""

    score: str
    version: int
    created: bool = Field(description="False if the newest version was already the same.")


class ScoreSummary(BaseModel):
    """A score."""

    score: str
    version: int = Field(description="The newest version.")
    live: int | None = Field(description="The version whose grades count; null while the first one is filled.")


class ScorePage(BaseModel):
    """Scores by name."""

    scores: list[ScoreSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class Filling(BaseModel):
    """How far a version has come."""

    state: State = Field(
        description="`filling`: contacts are evaluated. `switching`: live, and those whose grade is another one are "
        "told, if that was asked for. `live`. `clearing`, `ended`: replaced or canceled."
    )
    paused: bool
    contacts: int = Field(description="How many contacts there are, about.")
    evaluated: int = Field(description="How many contacts were evaluated so far.")
    not_judged: int = Field(description="How many of them had too many events or too much data; they have no points.")
    existing: Existing
    live_at: datetime | None


class ScoreDetail(ScoreSummary):
    """One version of a score."""

    published_at: datetime
    digest: str
    source: str = Field(description="The document as it was published.")
    grades: dict[str, int] = Field(description="How many contacts have each grade by the live version, lowest first.")
    filling: Filling


class Steered(BaseModel):
    """Whether there was anything to pause, resume or cancel."""

    score: str
    version: int
    done: bool


def read_document(name: str, source: str, data: Any = None) -> ScoreDocument:
    """Parse a score from YAML, or from `data` if it came as JSON."""
    return ScoreDocument(name, source, read_score(source, name) if data is None else read_score_data(data, name))


def _read(name: str, kind: str, body: bytes) -> ScoreDocument:
    source = read_text(body)
    return read_document(name, source, parse_json(body) if is_json(kind) else None)


@router.put(
    "/{score}",
    summary="Publish a score",
    responses={201: {"model": PublishedScore, "description": "A new version"}, **documented(400, 413, 415, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The score as YAML 1.2 (problems then name their line), or the same as JSON.",
            "content": {
                "application/yaml": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE},
                "application/json": {"schema": {"type": "object", "required": ["score", "grades"]}},
            },
        }
    },
)
async def put_score(
    score: ScoreName,
    request: Request,
    response: Response,
    ctx: Ctx,
    existing: Annotated[
        Existing,
        Query(
            description="`tell`: those whose grade is another one by this version are told when it goes live, and so "
            "enter tracks."
        ),
    ] = "ignore",
) -> PublishedScore:
    """Checks the score, reports all problems at once, and makes it the newest version.

    All contacts are then evaluated in the background; until that is done the version before counts. Publishing the same
    score again changes nothing.
    """
    kind = media_type(request)
    if not is_json(kind) and kind not in YAML_TYPES:
        raise ProblemError(415, "unsupported-media-type", "Send the score as application/yaml or application/json.")
    document = await asyncio.to_thread(_read, score, kind, await request.body())
    try:
        async with ctx.db.transaction() as tx:
            (published,) = await Publishing(tx).publish(scores=[document], existing_grades=existing)
    except RefusedError as refused:
        raise not_published(f"score {score}", refused.errors) from None
    response.status_code = 201 if published.created else 200
    return PublishedScore(score=score, version=published.version, created=published.created)


@router.get("", summary="List scores")
async def list_scores(ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> ScorePage:
    """Every score by name."""
    position = ctx.cursors.read(["scores"], cursor)
    async with ctx.db.transaction() as tx:
        found = await scores.list_all(tx, after=str(position[0]) if position else "", limit=limit + 1)
    shown, following = ctx.cursors.cut(["scores"], found, limit, lambda one: [one.name])
    listed = [ScoreSummary(score=one.name, version=one.latest, live=one.live) for one in shown]
    return ScorePage(scores=listed, next=following)


@router.get("/{score}", summary="Read a score", responses=documented(404))
async def get_score(
    score: ScoreName,
    ctx: Ctx,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Absent: the newest.")] = None,
) -> ScoreDetail:
    """One version with its source, how far it is filled, and how many contacts have each grade by the live one."""
    async with ctx.db.transaction() as tx:
        summary = await scores.get(tx, score)
        found = await scores.version(tx, score, version or summary.latest) if summary else None
        if summary is None or found is None:
            raise not_found(f"score {score}" + (f" with version {version}" if version else ""))
        grades = await lists.sizes(tx, summary)
        total = await estimated_contacts(tx)
    return ScoreDetail(
        score=score,
        version=found.version,
        live=summary.live,
        published_at=found.published_at,
        digest=found.digest,
        source=found.source,
        grades=grades,
        filling=_filling(found, total),
    )


def _filling(version: ScoreVersion, total: int) -> Filling:
    return Filling(
        state=version.state,
        paused=version.paused,
        contacts=max(total, version.evaluated),
        evaluated=version.evaluated,
        not_judged=version.not_judged,
        existing=version.existing,
        live_at=version.live_at,
    )


@router.get("/{score}/versions", summary="List a score's versions", responses=documented(404))
async def list_score_versions(score: ScoreName, ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> Versions:
    """Newest first."""
    return await list_versions(ctx, "score", score, scores.versions, limit, cursor)


@router.post(
    "/{score}/versions/{version}/{verb}",
    summary="Pause, resume or cancel the filling of a score",
    responses=documented(404),
)
async def steer_score(
    score: ScoreName, version: _Version, verb: Literal["pause", "resume", "cancel"], ctx: Ctx
) -> Steered:
    """`pause` and `resume` hold for the filling, and for the telling of changed grades. `cancel` gives up a version
    that is being filled; the version before stays live."""
    async with ctx.db.transaction() as tx:
        if await scores.version(tx, score, version) is None:
            raise not_found(f"score {score} with version {version}")
        done = await _steer(tx, score, version, verb)
    return Steered(score=score, version=version, done=done)


async def _steer(tx: AsyncConnection, score: str, version: int, verb: str) -> bool:
    if verb == "cancel":
        return await scores.cancel(tx, score, version)
    return await scores.pause(tx, score, version, paused=verb == "pause")
