"""The bare ingest service: `python -m bench.bare.api PORT`, as anybody would write it by hand.

Its database and its only key come from the environment, in DATABASE_URL and PERENNIAL_API_KEY.

It is served like `perennial api`. Each request checks its key and its body and does one INSERT in a transaction of its
own; the unique `event_id` detects duplicates. It matches no enrollments and signals nobody.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import create_async_engine

from infra.launch.ports import HOST
from store.engine.database import driver_url

POOL = 10
"""Number of connections, the same as the default of the project's API."""

_metadata = MetaData()
EVENTS = Table(
    "event",
    _metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("contact_id", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("properties", JSONB, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


class EventBody(BaseModel):
    """Something a contact did."""

    model_config = ConfigDict(extra="forbid")

    event_id: Annotated[str, Field(min_length=1, max_length=128)]
    contact_id: Annotated[str, Field(min_length=1, max_length=128)]
    name: Annotated[str, Field(min_length=1, max_length=128)]
    properties: dict[str, Any] = {}
    occurred_at: AwareDatetime | None = None


class EventAccepted(BaseModel):
    """The event is stored."""

    event_id: str
    duplicate: bool


def create_app(database_url: str, key: str) -> FastAPI:
    """Make the service, with its only valid key."""
    engine = create_async_engine(driver_url(database_url), pool_size=POOL, max_overflow=0)
    known = {key: "bench"}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as tx:
            await tx.run_sync(_metadata.create_all)
        yield
        await engine.dispose()

    async def keyed(authorization: Annotated[str, Header()] = "") -> None:
        if authorization.removeprefix("Bearer ") not in known:
            raise HTTPException(401)

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/events", status_code=202, dependencies=[Depends(keyed)])
    async def post_event(body: EventBody) -> EventAccepted:
        row = body.model_dump() | {"occurred_at": body.occurred_at or datetime.now(UTC)}
        stored = insert(EVENTS).values(row).on_conflict_do_nothing().returning(EVENTS.c.id)
        async with engine.begin() as tx:
            new = (await tx.execute(stored)).scalar()
        return EventAccepted(event_id=body.event_id, duplicate=new is None)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def main(database_url: str, port: str, key: str) -> None:
    """Serve until the process ends."""
    app = create_app(database_url, key)
    options = uvicorn.Config(app, host=HOST, port=int(port), log_config=None, access_log=False)
    await uvicorn.Server(options).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(os.environ["DATABASE_URL"], sys.argv[1], os.environ["PERENNIAL_API_KEY"]))
