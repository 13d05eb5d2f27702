"""The worker's port for its orchestrator: liveness, readiness and process metrics. Off unless configured."""

from __future__ import annotations

import asyncio
from typing import Self

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, ProcessCollector, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.http.security_headers import ProtectAnswers
from api.http.server import OperationsServer
from store.engine.database import Database


class WorkerHealth:
    """Serves health checks for a worker or a relay while the context is entered. With `port` None it serves nothing.

    The process sets `database` when it has one, and `working` when it takes work.
    """

    def __init__(self, host: str, port: int | None) -> None:
        self.database: Database | None = None
        self.working = False
        self._server = None if port is None else OperationsServer(self._app(), host, port, "PERENNIAL_WORKER_PORT")
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._ready = Gauge("perennial_worker_ready", "1 while it takes work.", registry=self._registry)

    async def __aenter__(self) -> Self:
        if self._server is not None:
            await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self._server.stop()

    def _app(self) -> Starlette:
        app = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ]
        )
        app.add_middleware(ProtectAnswers, secure=False)
        return app

    async def _healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _: Request) -> Response:
        if not self.working:
            return JSONResponse({"status": "not working", "database": "waited for"}, 503)
        return await self._answers()

    async def _answers(self) -> Response:
        assert self.database is not None
        try:
            async with asyncio.timeout(5):
                await self.database.ping()
        except Exception:  # whatever it is, the answer is the same
            return JSONResponse({"status": "not working", "database": "unreachable"}, 503)
        return JSONResponse({"status": "ready", "database": "ok"})

    async def _metrics(self, _: Request) -> Response:
        self._ready.set(self.working)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
