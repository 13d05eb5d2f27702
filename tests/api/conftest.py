"""The API over a real database, called in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import fastapi.applications
import httpx
import pytest
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import SecretStr

from api.app import create_app
from api.feedback.sns_signature import SnsVerifier
from settings import Settings
from store.engine.database import Database
from store.operations import api_keys
from tests.api.client import Api
from tests.api.sns import Signer

TWILIO_TOKEN = "an auth token of nobody"
STRIPE_SECRET = "whsec_of_nobody"
HUBSPOT_SECRET = "a client secret of nobody"

_documents: dict[tuple[int, ...], tuple[list[APIRoute], str]] = {}


def _kept_document(**parts: Any) -> dict[str, Any]:
    """FastAPI's document of these routes, made once per process: 0.6 s of CPU each time. The apps share their routes.

    The routes are kept with the document: the id of a route that is gone could become another's.
    """
    routes = [route for route in parts["routes"] if isinstance(route, APIRoute) and route.include_in_schema]
    chosen = tuple(id(route) for route in routes)
    if chosen not in _documents:
        _documents[chosen] = routes, json.dumps(get_openapi(**parts))
    document: dict[str, Any] = json.loads(_documents[chosen][1])  # a copy of its own: each app corrects it
    return document


vars(fastapi.applications)["get_openapi"] = _kept_document


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=5)
    yield database
    await database.close()


@cache
def read_settings() -> Settings:
    """Read once: each time costs 10 ms of CPU."""
    return Settings(
        secret=SecretStr("a secret of at least thirty-two characters"),
        public_url="https://nurture.acme.test",
        twilio_auth_token=SecretStr(TWILIO_TOKEN),
        stripe_webhook_secret=SecretStr(STRIPE_SECRET),
        hubspot_client_secret=SecretStr(HUBSPOT_SECRET),
        sns_certificate_url="http://127.0.0.1:4579",
    )


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return read_settings().model_copy(update={"database_url": SecretStr(postgres_url)})


@pytest.fixture
def app(settings: Settings, db: Database) -> FastAPI:
    return create_app(settings, db)


@pytest.fixture
async def key(db: Database) -> str:
    async with db.transaction() as tx:
        return (await api_keys.create(tx, "tests"))[1]


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a key."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://nurture.acme.test") as client:
        yield client


@pytest.fixture
def api(anonymous: httpx.AsyncClient, key: str) -> Api:
    """A caller with a key."""
    return Api(anonymous, key)


@pytest.fixture(scope="session")
def signer() -> Signer:
    """The key of a stand-in for Amazon SNS."""
    return Signer()


@pytest.fixture
async def amazon(app: FastAPI, signer: Signer) -> AsyncIterator[None]:
    """Amazon's SNS host is `signer`."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signer.app)) as client:
        object.__setattr__(app.state.context, "sns", SnsVerifier(client, sandbox=None))
        yield
