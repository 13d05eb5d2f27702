"""The API's calls for the orchestrator and Prometheus.

`operating` is served on the public port or, if `PERENNIAL_OPERATIONS_PORT` is set, on that port only. Answers are
cached for some seconds, so frequent calls cost little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, Field

from api.http import problems
from api.http.auth import OpenRoute
from api.http.context import Context, Ctx
from api.http.metrics import StoredFigures
from api.http.problems import documented
from api.http.security_headers import ProtectAnswers
from store.audience.memberships import due_memberships
from store.audience.scores import due as due_scores
from store.audience.webhooks import destinations
from store.engine.sql import utc_now
from store.operations import doctor
from store.runs import drop_counts
from store.runs.events import event_retention, future_events
from store.runs.outbox import outbox, refused_deliveries
from store.sending.policy import breakers

router = APIRouter(tags=["operating"], route_class=OpenRoute)
operating = APIRouter(tags=["operating"], route_class=OpenRoute)
FIGURES_KEPT = 5.0
"""Seconds for which the database's figures and Temporal's state are cached."""
READY_KEPT = 1.0
"""Seconds for which a successful answer of the database is cached."""
_PATIENCE = 2.0
Answer = TypeVar("Answer")
TemporalState = Literal["ok", "unreachable", "not configured"]


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests can be accepted, and the state of the parts."""

    status: Literal["ready"] = "ready"
    database: Literal["ok"] = "ok"
    temporal: TemporalState = Field(
        description="For information: requests are accepted while Temporal is down. May be some seconds old."
    )


class Kept(Generic[Answer]):
    """A cached answer: it is computed once in `seconds`, however many callers want it."""

    def __init__(self, seconds: float, ask: Callable[[], Awaitable[Answer]]) -> None:
        self._seconds, self._ask = seconds, ask
        self._asking = asyncio.Lock()
        self._answer: tuple[float, Answer] | None = None

    async def get(self) -> Answer:
        """The answer. A failure is raised and not cached."""
        async with self._asking:
            now = time.monotonic()
            if self._answer is None or now >= self._answer[0]:
                self._answer = now + self._seconds, await self._ask()
            return self._answer[1]


class Operations:
    """The cached state that the operating calls answer with."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.ready = Kept(READY_KEPT, context.db.ping)
        self.temporal = Kept(FIGURES_KEPT, self._temporal)
        self.stored = Kept(FIGURES_KEPT, self._stored)

    async def _temporal(self) -> TemporalState:
        if self._context.temporal is None:
            return "not configured"
        try:
            async with asyncio.timeout(_PATIENCE):
                return "ok" if await self._context.temporal.service_client.check_health() else "unreachable"
        except Exception:  # whatever it is, the answer is the same
            return "unreachable"

    async def _stored(self) -> StoredFigures:
        async with self._context.db.transaction() as tx:
            return StoredFigures(
                await outbox.backlog(tx),
                await drop_counts.totals(tx),
                await breakers.all_known(tx),
                await doctor.noted(tx),
                await refused_deliveries.counts(tx),
                await due_memberships.oldest_due(tx),
                await due_scores.oldest_due(tx),
                await destinations.list_all(tx),
                await future_events.backlog(tx, utc_now()),
                sum((await event_retention.deleted_counts(tx)).values()),
            )


@router.get("/healthz", summary="Is the process up?")
async def healthz() -> Health:
    """Answers as long as the process runs. It checks nothing else."""
    return Health()


@operating.get("/readyz", summary="Can requests be accepted?", responses=documented(503))
async def readyz(request: Request) -> Readiness:
    """503 while the database does not answer. If Temporal is down, the answer says so, and it is still 200."""
    operations: Operations = request.app.state.operations
    await operations.ready.get()
    return Readiness(temporal=await operations.temporal.get())


@operating.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(503)},
)
async def metrics(request: Request, ctx: Ctx) -> Response:
    """Requests, events and rejections of this process; outbox and drops from the database. No personal data."""
    operations: Operations = request.app.state.operations
    stored = CollectorRegistry(auto_describe=False)
    stored.register(await operations.stored.get())
    return Response(generate_latest(ctx.metrics.registry) + generate_latest(stored), media_type=CONTENT_TYPE_LATEST)


def operations_app(public: FastAPI) -> FastAPI:
    """The application of the operations port. It reports on the process that serves `public`."""
    app = FastAPI(title="Perennial, operations", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.context, app.state.operations = public.state.context, public.state.operations
    app.add_middleware(ProtectAnswers, secure=False)
    app.include_router(router)
    app.include_router(operating)
    problems.install(app)
    return app
