"""An installation for the pages' commands: database, Temporal, API, workers, but no providers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError

from activities.registry import build_activities
from api.app import create_app
from api.audience.segment_upkeep import SegmentUpkeep
from settings import Settings
from store.engine.database import Database
from store.operations import api_keys
from tests.api.server import serve
from tests.conftest import DevServer
from worker import build_relay, build_workers


@dataclass
class Installation:
    """A running installation. `caller` sends the requests of `curl` commands."""

    url: str
    key: str
    caller: httpx.AsyncClient
    temporal: Client
    dev_server: DevServer

    async def until(self, true: Callable[[dict[str, Any]], bool], path: str) -> None:
        """Wait until the API's answer at `path` is as expected."""
        seen: Any = None
        for _ in range(150):
            answer = await self.caller.get(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
            seen = answer.json()
            if true(seen):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{path} stays as it is: {seen}")


@pytest.fixture
async def perennial(postgres_url: str, dev_server: DevServer) -> AsyncIterator[Installation]:
    """The API on a port of its own, with relay and workers, on an empty database."""
    settings = Settings(
        DATABASE_URL=SecretStr(postgres_url),
        secret=SecretStr("a secret of at least thirty-two characters"),
        ses_endpoint_url="http://127.0.0.1:9",  # the discard port: no call may leave the machine
        twilio_base_url="http://127.0.0.1:9",
    )
    database, temporal = Database(postgres_url, 10), await dev_server.connect()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        async with database.transaction() as tx:
            _, key = await api_keys.create(tx, "docs")
        activities = build_activities(settings, database)
        stack.push_async_callback(activities.close)
        for worker in build_workers(temporal, activities, settings):
            await stack.enter_async_context(worker)
        await stack.enter_async_context(build_relay(temporal, database, settings))
        await stack.enter_async_context(SegmentUpkeep(database))
        url = await stack.enter_async_context(serve(create_app(settings, database, temporal)))
        caller = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        yield Installation(url, key, caller, temporal, dev_server)
        async with database.transaction() as tx:
            live = await tx.execute(text("SELECT workflow_id FROM enrollment WHERE ended_at IS NULL"))
            for workflow_id in live.scalars():  # the server outlives this test
                with suppress(RPCError):
                    await temporal.get_workflow_handle(workflow_id).terminate()
