"""Circuit breakers: which tracks and channels are held, and an operator's commands to hold and resume them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import Body
from api.http.problems import FieldProblem, documented, invalid, not_found
from store.published import policies, tracks
from store.sending.policy import breakers
from store.sending.policy.breakers import Breaker, Cause, State
from tracks.shared.personal_ids import looks_personal

router = APIRouter(prefix="/v1/breakers", tags=["operating"], route_class=KeyedRoute, responses=documented(401, 422))

Scope = Annotated[
    str,
    Path(
        pattern=r"^(account:(email|sms)|track:[a-z0-9][a-z0-9-]{0,62})$",
        description="A whole channel, or a track.",
        examples=["track:trial-to-paid", "account:email"],
    ),
]

log = structlog.get_logger(__name__)


class BreakerState(BaseModel):
    """The state of a breaker."""

    scope: str
    state: State = Field(description="`open`: it holds messages; `resuming`: they go out at `per_second`; `closed`.")
    cause: Cause = Field(description="What opened it last.")
    reason: str
    figures: dict[str, Any] = Field(description="The counts that opened it.")
    changed_at: datetime
    until: datetime | None = Field(description="When an open breaker resumes by itself; null: only on command.")
    per_second: float | None = Field(description="Messages a second while it resumes.")
    held: int = Field(description="Messages that wait for it; counted every few seconds.")


class BreakerList(BaseModel):
    """Every breaker that has ever opened, by scope."""

    breakers: list[BreakerState]


class TripRequest(Body):
    """Why it should hold."""

    reason: str = Field(
        min_length=1,
        max_length=breakers.LONGEST_REASON,
        description="The reason, shown to operators. It stays in the histories of runs: no personal data.",
    )


class ResumeRequest(Body):
    """How fast the held messages go out."""

    per_second: float | None = Field(default=None, gt=0, le=1000, description="Left out: as the policy says.")


def _shown(found: Breaker) -> BreakerState:
    return BreakerState(
        scope=found.scope,
        state=found.state,
        cause=found.cause,
        reason=found.reason,
        figures=dict(found.figures),
        changed_at=found.changed_at,
        until=found.until,
        per_second=found.per_second if found.state == "resuming" else None,
        held=found.held,
    )


@router.get("", summary="List breakers")
async def list_breakers(ctx: Ctx) -> BreakerList:
    """Breakers that have never opened are not listed: they are closed."""
    async with ctx.db.transaction() as tx:
        return BreakerList(breakers=[_shown(found) for found in await breakers.all_known(tx)])


@router.post("/{scope}/trip", summary="Hold a track or a channel", responses=documented(400, 404, 413, 415))
async def trip_breaker(scope: Scope, asked: TripRequest, ctx: Ctx) -> BreakerState:
    """From the answer on, only transactional messages of the track or channel go out, until somebody resumes it."""
    if why := looks_personal(asked.reason):
        raise invalid([FieldProblem(detail=why, pointer="#/reason")])
    async with ctx.db.transaction() as tx:
        if scope.startswith("track:") and await tracks.get(tx, scope.removeprefix("track:")) is None:
            raise not_found(scope.replace(":", " "))
        if await breakers.trip(tx, scope, "operator", asked.reason):
            log.error("breaker opened", scope=scope, cause="operator")
        return _shown(await _known(tx, scope))


@router.post("/{scope}/resume", summary="Let what is held go", responses=documented(400, 404, 413, 415))
async def resume_breaker(scope: Scope, ctx: Ctx, asked: ResumeRequest | None = None) -> BreakerState:
    """Held messages go out at a bounded rate, oldest first; then the breaker closes. Only an open breaker changes."""
    async with ctx.db.transaction() as tx:
        rate = asked.per_second if asked else None
        rate = rate or (await policies.current(tx)).policy.breaker.per_second
        if await breakers.resume(tx, scope, per_second=rate):
            log.warning("breaker resuming", scope=scope, per_second=rate)
        return _shown(await _known(tx, scope))


async def _known(tx: AsyncConnection, scope: str) -> Breaker:
    found = await breakers.find(tx, scope)
    if found is None:
        raise not_found(f"breaker {scope} that ever opened")
    return found
