"""The workspace's policy: topics, consent, caps, quiet hours and breakers, for all tracks together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import KeyedRoute
from api.bodies import is_json, media_type, parse_json, read_text
from api.context import Ctx
from api.problems import FieldProblem, ProblemError, documented, not_published
from api.tracks import YAML_TYPES
from store import policies, tracks
from tracks.policy import Policy, parse_policy, policy_from_data, policy_to_data
from tracks.problems import Problem, TrackProblems
from tracks.topics import topics_of

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
    """The policy's version after publishing."""

    version: int
    created: bool = Field(description="False where the newest version was the same already.")


class PolicyDetail(BaseModel):
    """The policy that holds now."""

    version: int = Field(description="0 where none was ever published: then nothing is capped and no topic is known.")
    published_at: datetime | None
    source: str = Field(description="The document as it was published.")
    data: dict[str, Any] = Field(description="The same in its canonical form.")


def _refused(problems: Sequence[Problem]) -> ProblemError:
    found = [FieldProblem(detail=problem.message, line=problem.line or None) for problem in problems]
    return not_published("policy", found)


def _read(kind: str, body: bytes) -> tuple[Policy, str]:
    source = read_text(body)
    try:
        return (policy_from_data(parse_json(body)) if is_json(kind) else parse_policy(source)), source
    except TrackProblems as error:
        raise _refused(error.problems) from None


@router.put(
    "",
    summary="Publish the policy",
    responses={201: {"model": PublishedPolicy, "description": "A new version"}, **documented(400, 413, 415)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The policy as YAML 1.2 (problems then name their line), or the same as JSON.",
            "content": {
                "application/yaml": {"schema": {"type": "string"}, "example": _EXAMPLE},
                "application/json": {"schema": {"type": "object"}},
            },
        }
    },
)
async def put_policy(request: Request, response: Response, ctx: Ctx) -> PublishedPolicy:
    """Checks it (all problems at once); every message claimed from then on obeys it, of runs in flight too.

    A topic that the newest version of a track names cannot be taken away.
    """
    kind = media_type(request)
    if not is_json(kind) and kind not in YAML_TYPES:
        raise ProblemError(415, "unsupported-media-type", "Send the policy as application/yaml or application/json.")
    read, source = await asyncio.to_thread(_read, kind, await request.body())
    async with ctx.db.transaction() as tx:
        if problems := await _missed(tx, read):
            raise _refused(problems)
        published = await policies.publish(tx, read, source)
    response.status_code = 201 if published.created else 200
    return PublishedPolicy(version=published.version, created=published.created)


async def _missed(tx: AsyncConnection, policy: Policy) -> list[Problem]:
    """Topics that tracks send about and this policy does not know."""
    problems: list[Problem] = []
    after = ""
    while page := await tracks.list_all(tx, after=after, limit=100):
        for one in page:
            newest = await tracks.pinned(tx, one.name, one.latest)
            for topic in sorted(topics_of(newest.track) - set(policy.topics)):
                words = f"topics: '{topic}' is missing; the track {one.name} sends messages about it"
                problems.append(Problem("policy", 0, "", words))
        after = page[-1].name
    return problems


@router.get("", summary="Read the policy")
async def get_policy(ctx: Ctx) -> PolicyDetail:
    """What holds now."""
    async with ctx.db.transaction() as tx:
        found = await policies.current(tx)
    return PolicyDetail(
        version=found.version,
        published_at=found.published_at,
        source=found.source,
        data=policy_to_data(found.policy),
    )
