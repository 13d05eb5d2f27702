"""Deploys: publish policy, templates, segments, scores and tracks together, or show what publishing would do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.bodies.reading import BATCH
from api.http.context import Ctx
from api.http.fields import SLUG
from api.http.problems import FieldProblem, documented, invalid, not_published
from api.resources.publishing import policy, scores, segments, template_files, tracks
from api.resources.publishing.document_errors import RefusedError, track_errors
from api.resources.publishing.documents import (
    Done,
    PolicyDocument,
    ScoreDocument,
    SegmentDocument,
    TemplateDocument,
    TrackDocument,
)
from api.resources.publishing.publishing import Publishing
from api.resources.publishing.template_files import TemplateFiles
from store.published import tracks as stored
from store.published.scores import Existing as ExistingGrades
from store.published.segments import Existing
from store.runs.enrollments.live_runs import RunsAt, runs_at_steps
from tracks.checks.template_reach import may_send


class DeployRoute(KeyedRoute):
    """A keyed route that accepts the documents of a whole folder."""

    limit = BATCH


router = APIRouter(prefix="/v1/deploys", tags=["deploys"], route_class=DeployRoute, responses=documented(401, 422))

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A name is checked together with its document, so that one wrong name does not hide other problems."""
Written = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})] | dict[str, Any]
_NAMES: dict[str, Any] = {"propertyNames": {"pattern": SLUG}}
_MOST = 2000
"""Most documents of one kind."""


_SOMETHING: list[dict[str, Any]] = [
    {"required": ["policy"], "properties": {"policy": {"type": ["string", "object"]}}},
    {"required": ["templates"], "properties": {"templates": {"minProperties": 1}}},
    {"required": ["segments"], "properties": {"segments": {"minProperties": 1}}},
    {"required": ["scores"], "properties": {"scores": {"minProperties": 1}}},
    {"required": ["tracks"], "properties": {"tracks": {"minProperties": 1}}},
]


class Deploy(BaseModel, extra="forbid", json_schema_extra={"anyOf": _SOMETHING}):
    """The documents to publish. Published documents that are not named here stay unchanged."""

    dry_run: bool = Field(default=False, description="Check everything and report what would change; publish nothing.")
    policy: Written | None = Field(default=None, description="As YAML, or the same as JSON.")
    templates: dict[Name, TemplateFiles] = Field(
        default={}, max_length=_MOST, description="By name.", json_schema_extra=_NAMES
    )
    segments: dict[Name, Written] = Field(
        default={},
        max_length=_MOST,
        description="By name, as YAML or the same as JSON.",
        json_schema_extra=_NAMES,
    )
    existing: Existing = Field(
        default="ignore",
        description="Whether those who are members of a new version of a segment at first are told as entering, and "
        "so enter tracks.",
    )
    scores: dict[Name, Written] = Field(
        default={},
        max_length=_MOST,
        description="By name, as YAML or the same as JSON.",
        json_schema_extra=_NAMES,
    )
    existing_grades: ExistingGrades = Field(
        default="ignore",
        description="Whether those whose grade is another one by a new version of a score are told, and so enter "
        "tracks.",
    )
    tracks: dict[Name, Written] = Field(
        default={},
        max_length=_MOST,
        description="By name, as YAML or the same as JSON.",
        json_schema_extra=_NAMES,
    )


class RunsOn(BaseModel):
    """Live runs on one version of a track."""

    track: str
    version: int
    runs: int


class Deployed(BaseModel):
    """The result for one document, real or of a dry run."""

    kind: Literal["policy", "template", "score", "segment", "track"]
    name: str
    version: int = Field(description="The newest version after the deploy.")
    outcome: Literal["new", "changed", "unchanged"]
    changes: list[str] = Field(
        default=[], description="For a changed policy: the differences.", examples=[["caps[0].most: 1 → 2"]]
    )
    reaches: list[RunsOn] = Field(
        default=[], description="For a changed template: an upper bound of live runs that may still send it."
    )
    staying: list[RunsOn] = Field(
        default=[], description="For a changed track: live runs, which stay on the version that they began with."
    )


class DeployAnswer(BaseModel):
    """What was published or, with `dry_run`, would be published."""

    dry_run: bool
    documents: list[Deployed]
    warnings: list[FieldProblem] = Field(description="Valid, but possibly a mistake: please check.")


class _DryRunError(Exception):
    """Rolls back the transaction of a dry run."""


@router.post("", summary="Publish together", response_model_exclude_none=True, responses=documented(400, 413, 415))
async def post_deploy(deploy: Deploy, ctx: Ctx) -> DeployAnswer:
    """Publishes all of these documents in one transaction, or none. A refusal names all errors at once.

    Each document is checked against the others in the deploy: a track may name templates, topics and tracks of the same
    deploy. `dry_run` does the same and rolls it back. An error points at its document, such as `#/tracks/welcome`.
    """
    named = (deploy.templates, deploy.segments, deploy.scores, deploy.tracks)
    if deploy.policy is None and not any(named):
        words = "There is nothing to publish: name a policy, templates, segments, scores or tracks."
        raise invalid([FieldProblem(detail=words)])
    written, templates, audience, rated, plans = await asyncio.to_thread(_read, deploy)
    done: list[Done] = []
    try:
        async with ctx.db.transaction() as tx:
            done = await Publishing(tx, inside=True, dry_run=deploy.dry_run).publish(
                policy=written,
                templates=templates,
                segments=audience,
                scores=rated,
                tracks=plans,
                existing=deploy.existing,
                existing_grades=deploy.existing_grades,
            )
            if deploy.dry_run:
                raise _DryRunError
    except _DryRunError:
        pass
    except RefusedError as refused:
        raise not_published("deploy", refused.errors) from None
    async with ctx.db.transaction() as tx:
        documents = await _told(tx, done)
    return DeployAnswer(dry_run=deploy.dry_run, documents=documents, warnings=_warnings(plans))


def _read(
    deploy: Deploy,
) -> tuple[
    PolicyDocument | None, list[TemplateDocument], list[SegmentDocument], list[ScoreDocument], list[TrackDocument]
]:
    return (
        None if deploy.policy is None else policy.read_document(*_source(deploy.policy)),
        [template_files.read_document(name, files) for name, files in deploy.templates.items()],
        [segments.read_document(name, *_source(source)) for name, source in sorted(deploy.segments.items())],
        [scores.read_document(name, *_source(source)) for name, source in sorted(deploy.scores.items())],
        [tracks.read_document(name, *_source(source)) for name, source in sorted(deploy.tracks.items())],
    )


def _source(written: Written) -> tuple[str, Any]:
    """The text that is stored as the document's source, and its data if it came as JSON."""
    return (written, None) if isinstance(written, str) else (json.dumps(written, ensure_ascii=False), written)


def _warnings(plans: Iterable[TrackDocument]) -> list[FieldProblem]:
    return [problem for plan in plans for problem in track_errors(plan.reading.warnings(), at=["tracks", plan.name])]


async def _told(tx: AsyncConnection, done: list[Done]) -> list[Deployed]:
    """The results, with the live runs that each change concerns. These are on earlier versions: a new one has none."""
    changed = [one for one in done if one.created and one.version > 1]
    used = {one.name: await stored.in_use_with(tx, one.name) for one in changed if one.kind == "template"}
    concerned = {one.name for one in changed if one.kind == "track"}
    concerned |= {version.track for versions in used.values() for version in versions if version.live}
    runs = await runs_at_steps(tx, concerned)
    told: list[Deployed] = []
    for one in done:
        answer = Deployed(
            kind=one.kind, name=one.name, version=one.version, outcome=_outcome(one), changes=list(one.changes)
        )
        if one in changed and one.kind == "track":
            answer.staying = _by_version(at for at in runs if at.track == one.name and at.version < one.version)
        for version in used.get(one.name, ()) if one.kind == "template" else ():
            if version.live:
                reached = may_send((await stored.pinned(tx, version.track, version.version)).track, one.name)
                here = (at for at in runs if (at.track, at.version) == (version.track, version.version))
                answer.reaches += _by_version(at for at in here if reached(at.step))
        told.append(answer)
    return told


def _outcome(one: Done) -> Literal["new", "changed", "unchanged"]:
    if not one.created:
        return "unchanged"
    return "new" if one.version == 1 else "changed"


def _by_version(runs: Iterable[RunsAt]) -> list[RunsOn]:
    count: dict[tuple[str, int], int] = {}
    for at in runs:
        count[at.track, at.version] = count.get((at.track, at.version), 0) + at.runs
    return [RunsOn(track=track, version=version, runs=number) for (track, version), number in count.items()]
