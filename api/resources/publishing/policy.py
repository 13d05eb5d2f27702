"""The workspace's policy: topics, consent, caps, quiet hours and breakers, for all tracks together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.bodies.reading import is_json, media_type, parse_json, read_text
from api.http.context import Ctx
from api.http.problems import ProblemError, documented, not_published
from api.resources.publishing.document_errors import RefusedError
from api.resources.publishing.documents import PolicyDocument
from api.resources.publishing.publishing import Publishing
from api.resources.publishing.tracks import YAML_TYPES
from audience.exclusions import exclusion_problems
from store.published import policies
from tracks.policy.workspace_policy import parse_policy, policy_from_data, policy_to_data
from tracks.shared.problems import Problem, TrackProblems
from tracks.shared.yaml_source import Source, read_yaml

router = APIRouter(prefix="/v1/policy", tags=["policy"], route_class=KeyedRoute, responses=documented(401, 422))

_EXAMPLE = """topics:
  product-tips: {name: Product tips}
  newsletter: {name: Newsletter, opt_in: double}
channels:
  sms: {opt_in: explicit, quiet_hours: {from: '20:00', to: '08:00'}}
caps:
  - {most: 1, per: 1d, channel: sms}
  - {most: 4, per: 7d}
"""


class PublishedPolicy(BaseModel):
    """The policy's version after the call."""

    version: int
    created: bool = Field(description="False if the newest version was already the same.")
    changes: list[str] = Field(
        default=[], description="The differences to the previous version.", examples=[["caps[0].most: 1 → 2"]]
    )


class PolicyDetail(BaseModel):
    """The policy that holds now."""

    version: int = Field(description="0 if no policy was ever published: then there are no caps and no topics.")
    published_at: datetime | None
    source: str = Field(description="The document as it was published.")
    data: dict[str, Any] = Field(description="The same policy in canonical form.")


def read_document(source: str, data: Any = None) -> PolicyDocument:
    """Parse the policy in a text, or in `data` if it came as JSON."""
    problems: list[Problem] = []
    try:
        policy = parse_policy(source) if data is None else policy_from_data(data)
    except TrackProblems as error:
        policy, problems = None, error.problems
    problems += _exclusion_problems(read_yaml(source) if data is None else Source(data=data))
    return PolicyDocument(source, None if problems else policy, tuple(problems))


def _exclusion_problems(read: Source) -> Iterator[Problem]:
    rule = read.data.get("unless") if isinstance(read.data, Mapping) else None
    for path, message in exclusion_problems(rule, ("unless",)):
        yield Problem("policy", read.line(path), "", message)


def _read(kind: str, body: bytes) -> PolicyDocument:
    source = read_text(body)
    return read_document(source, parse_json(body) if is_json(kind) else None)


@router.put(
    "",
    summary="Publish the policy",
    responses={201: {"model": PublishedPolicy, "description": "A new version"}, **documented(400, 413, 415)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The policy as YAML 1.2 (problems then name their line), or the same as JSON.",
            "content": {
                "application/yaml": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE},
                "application/json": {"schema": {"type": "object"}},
            },
        }
    },
)
async def put_policy(request: Request, response: Response, ctx: Ctx) -> PublishedPolicy:
    """Checks the policy and reports all problems at once. It holds for every message claimed from then on, also of live
    runs.

    A topic that the newest version of a track names cannot be removed.
    """
    kind = media_type(request)
    if not is_json(kind) and kind not in YAML_TYPES:
        raise ProblemError(415, "unsupported-media-type", "Send the policy as application/yaml or application/json.")
    document = await asyncio.to_thread(_read, kind, await request.body())
    try:
        async with ctx.db.transaction() as tx:
            (published,) = await Publishing(tx).publish(policy=document)
    except RefusedError as error:
        raise not_published("policy", error.errors) from None
    response.status_code = 201 if published.created else 200
    changes = list(published.changes)
    return PublishedPolicy(version=published.version, created=published.created, changes=changes)


@router.get("", summary="Read the policy")
async def get_policy(ctx: Ctx) -> PolicyDetail:
    """The policy that holds now."""
    async with ctx.db.transaction() as tx:
        found = await policies.current(tx)
    return PolicyDetail(
        version=found.version,
        published_at=found.published_at,
        source=found.source,
        data=policy_to_data(found.policy),
    )
