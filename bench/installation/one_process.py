"""All of Perennial in one process on given servers: the API, the relay and the workers, with helpers to use them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from temporalio.client import Client

from activities.registry import build_activities
from api.app import create_app
from api.temporal.connection import data_converter
from bench.measuring.http_wire import Caller
from infra.launch.ports import HOST, any_free
from infra.launch.postgres import Postgres
from infra.launch.process import Child
from infra.launch.stack import SENDER_DOMAIN, answers
from infra.launch.temporal import NAMESPACE, Temporal
from infra.sandbox.core.options import TWILIO_TOKEN as TOKEN_VARIABLE
from settings import Settings
from store.engine.database import Database
from store.operations import api_keys
from store.schema.migrate import upgrade
from worker import build_relay, build_workers, look_regularly

PYTHON = sys.executable
PROJECT = Path(__file__).parents[2]
TWILIO_TOKEN = "bench-auth-token"
SANDBOX_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""boto3 reads credentials from the environment. The sandbox must never get real ones."""
ENDED = ("completed", "converted", "exited")


@dataclass(frozen=True)
class Servers:
    """The servers that an installation uses. The sandbox calls back at `callback_port`, where the API must listen."""

    database_url: str
    temporal_address: str
    sandbox_url: str
    callback_port: int
    twilio_token: str = TWILIO_TOKEN
    temporal_namespace: str = NAMESPACE


def local_settings(servers: Servers, **more: Any) -> Settings:
    """Settings that point the production code at these servers."""
    given: dict[str, Any] = {
        "DATABASE_URL": servers.database_url,
        "secret": SecretStr("bench-secret-of-at-least-32-characters"),
        "public_url": f"http://{HOST}:{servers.callback_port}",
        "ses_endpoint_url": servers.sandbox_url,
        "sns_certificate_url": servers.sandbox_url,
        "twilio_base_url": servers.sandbox_url,
        "twilio_account_sid": "AC" + "0" * 32,
        "twilio_auth_token": SecretStr(servers.twilio_token),
        "hubspot_base_url": servers.sandbox_url,
        "hubspot_token": SecretStr("sandbox"),
        "webhook_secret": SecretStr("whsec_c3RhbmQtc2VjcmV0LXN0YW5kLXNlY3JldA=="),
        "drain": 1,
    }
    return Settings(**(given | more))


def environment_of(settings: Settings) -> dict[str, str]:
    """Environment variables that give a process these settings. Defaults are left out."""
    given = settings.model_dump(exclude_unset=True)
    own = {f"PERENNIAL_{name.upper()}": _as_text(value) for name, value in given.items() if value is not None}
    return own | {"DATABASE_URL": own.pop("PERENNIAL_DATABASE_URL"), **SANDBOX_CREDENTIALS}


def _as_text(value: object) -> str:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case timedelta():
            return str(value.total_seconds())
        case dict() | tuple() | list():
            return json.dumps(value)
        case _:
            return str(value)


def sandbox_command(folder: Path, port: int, callback_port: int | None = None) -> list[str]:
    """Module and arguments to start a sandbox with its data in `folder`. Without `callback_port` it sends no callbacks.

    Twilio's token is passed by the environment, as for the API.
    """
    command = ["infra.sandbox", "--port", str(port), "--data", str(folder / "sandbox")]
    if callback_port is not None:
        command += ["--callback-base", f"http://{HOST}:{callback_port}"]
    return command


def set_up_sandbox_command(folder: Path, port: int, callback_port: int | None = None) -> list[str]:
    """The same, set up like an account in use: the senders' domain is verified, and SES's own tracking is off."""
    return [*sandbox_command(folder, port, callback_port), "--verify-domain", SENDER_DOMAIN, "--no-tracking"]


class Installation:
    """A running installation. It calls the API as users do, and the sandbox as contacts do."""

    def __init__(self, servers: Servers, settings: Settings, database: Database, temporal: Client, key: str) -> None:
        self.servers = servers
        self.settings = settings
        self.database = database
        self.temporal = temporal
        self.key = key
        self.api = httpx.AsyncClient(
            base_url=settings.public_url, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        self.sandbox = httpx.AsyncClient(base_url=servers.sandbox_url, timeout=30)
        self.load = Caller(servers.callback_port, key)
        """For calls whose own cost is measured."""

    async def close(self) -> None:
        """Close the connections. The servers keep running."""
        await self.load.close()
        await self.api.aclose()
        await self.sandbox.aclose()
        await self.database.close()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API. Returns its JSON. Raises an error with the answer's text if the call is refused."""
        answer = await self.api.request(method, path, json=body)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def publish(self, name: str, text: str, kind: str = "tracks") -> None:
        """Publish a track, a segment or a score (YAML), or a template (text with front matter)."""
        content_type = "text/plain" if kind == "templates" else "application/yaml"
        answer = await self.api.put(f"/v1/{kind}/{name}", content=text, headers={"Content-Type": content_type})
        if answer.is_error:
            raise RuntimeError(f"{kind}/{name}: {answer.status_code} {answer.text}")

    async def accepted(self, to: str) -> list[dict[str, Any]]:
        """The messages the sandbox's providers accepted for an address, oldest first."""
        answer = await self.sandbox.get("/_control/messages", params={"to": to, "body": "1"})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return found

    async def misbehave(self, provider: str, kind: str, **more: Any) -> None:
        """Make a provider's next calls fail."""
        body = {"provider": provider, "kind": kind, **more}
        (await self.sandbox.post("/_control/faults", json=body)).raise_for_status()

    async def until(self, enrollment_id: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the enrolment has ended with, or is live in, one of `states`. Returns the enrolment."""
        async with asyncio.timeout(seconds):
            while True:
                found: dict[str, Any] = await self.call("GET", f"/v1/enrollments/{enrollment_id}")
                # a run reports its end shortly before the database has it
                state = found["status"] if found["ended_at"] else found.get("state")
                if state in states and (state not in ENDED or found["ended_at"]):
                    return found
                await asyncio.sleep(0.05)


@asynccontextmanager
async def installation_on(servers: Servers, *, worker: bool = True, **more: Any) -> AsyncIterator[Installation]:
    """Run the installation on these servers. Without `worker`, run only the API (a worker then runs elsewhere)."""
    settings = local_settings(servers, **more)
    os.environ |= SANDBOX_CREDENTIALS
    async with AsyncExitStack() as stack:
        converter = data_converter(settings.payload_keys)
        temporal = await Client.connect(
            servers.temporal_address, namespace=servers.temporal_namespace, data_converter=converter
        )
        database = Database(servers.database_url, settings.database_pool)
        async with database.transaction() as tx:
            _, key = await api_keys.create(tx, "bench")
        installation = Installation(servers, settings, database, temporal, key)
        stack.push_async_callback(installation.close)
        await stack.enter_async_context(_served(settings, database, temporal, servers.callback_port))
        if worker:
            activities = build_activities(settings, database)
            stack.push_async_callback(activities.close)
            for each in build_workers(temporal, activities, settings):
                await stack.enter_async_context(each)
            await look_regularly(stack, temporal, database, activities, settings)
            await stack.enter_async_context(build_relay(temporal, database, settings))
        await installation.sandbox.post("/_control/identities", json={"identity": SENDER_DOMAIN})
        yield installation


@asynccontextmanager
async def _served(settings: Settings, database: Database, temporal: Client, port: int) -> AsyncIterator[None]:
    app = create_app(settings, database, temporal)
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="error", ws="none"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        if running.done():
            await running
            raise RuntimeError(f"the API did not start on port {port}")
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def fresh_servers(folder: Path) -> AsyncIterator[Servers]:
    """Start PostgreSQL, Temporal and the sandbox for this run only, with their data in `folder`."""
    postgres = Postgres(folder / "postgres", any_free(), "bench", log=folder / "postgres.log")
    temporal = Temporal(any_free(), log=folder / "temporal.log", file=folder / "temporal.db")
    port, callback_port = any_free(), any_free()
    command = [PYTHON, "-m", *sandbox_command(folder, port, callback_port)]
    try:
        database_url = await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(upgrade, database_url)
        address = await asyncio.to_thread(temporal.start)
        environment = os.environ | {TOKEN_VARIABLE: TWILIO_TOKEN}
        sandbox = Child("provider sandbox", command, folder / "sandbox.log", env=environment, cwd=PROJECT)
        try:
            url = f"http://{HOST}:{port}"
            await asyncio.to_thread(sandbox.wait_ready, lambda: answers(f"{url}/healthz"), 30)
            yield Servers(database_url, address, url, callback_port)
        finally:
            sandbox.stop()
    finally:
        temporal.stop()
        postgres.stop()
