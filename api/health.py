"""For the orchestrator and Prometheus."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, Field

from api.auth import OpenRoute
from api.context import Context, Ctx
from api.metrics import StoredFigures
from api.problems import documented
from store import breakers, doctor, dropped, outbox, refused

router = APIRouter(tags=["operating"], route_class=OpenRoute)
_PATIENCE = 2.0


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests can be accepted, and how the parts are."""

    status: Literal["ready"] = "ready"
    database: Literal["ok"] = "ok"
    temporal: Literal["ok", "unreachable", "not configured"] = Field(
        description="A detail only: requests are accepted and kept while Temporal is down."
    )


@router.get("/healthz", summary="Is the process up?")
async def healthz() -> Health:
    """Answers as long as the process can answer at all; looks at nothing else."""
    return Health()


@router.get("/readyz", summary="Can requests be accepted?", responses=documented(503))
async def readyz(ctx: Ctx) -> Readiness:
    """503 while the database does not answer. Temporal being down is reported, and is no reason to refuse."""
    await ctx.db.ping()
    return Readiness(temporal=await _temporal(ctx))


async def _temporal(ctx: Context) -> Literal["ok", "unreachable", "not configured"]:
    if ctx.temporal is None:
        return "not configured"
    try:
        async with asyncio.timeout(_PATIENCE):
            return "ok" if await ctx.temporal.service_client.check_health() else "unreachable"
    except Exception:  # whatever it is, the answer is the same
        return "unreachable"


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(503)},
)
async def metrics(ctx: Ctx) -> Response:
    """Requests, events, rejections of this process; outbox and drops from the database. Nothing personal."""
    async with ctx.db.transaction() as tx:
        backlog = await outbox.backlog(tx)
        totals = await dropped.totals(tx)
        standing = await breakers.all_known(tx)
        checkup = await doctor.noted(tx)
        aside = await refused.counts(tx)
    stored = CollectorRegistry(auto_describe=False)
    stored.register(StoredFigures(backlog, totals, standing, checkup, aside))
    return Response(generate_latest(ctx.metrics.registry) + generate_latest(stored), media_type=CONTENT_TYPE_LATEST)
