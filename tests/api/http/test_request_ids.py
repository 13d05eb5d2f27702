"""A refused request has an id, and the log of a failure has the same id."""

from __future__ import annotations

import io
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.http.request_ids import HEADER, request_id
from infra import logs
from settings import Settings
from store.engine.database import Database
from tests.api.client import Api
from tests.api.server import serve


@pytest.fixture
def logged() -> Iterator[Any]:
    """The log entries as JSON. Logging is restored afterwards."""
    root, servers = logging.getLogger(), [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error")]
    handlers, level = root.handlers[:], root.level
    for server in servers:  # another test's server may have configured them
        server.handlers, server.propagate = [], True
    logs.set_up(json=True)
    (handler,) = root.handlers
    written = io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_failure_of_ours_is_found_in_the_log_by_its_id(app: FastAPI, logged: Any) -> None:
    @app.get("/bug/{who}")
    async def bug(who: str) -> None:
        raise RuntimeError

    async with serve(app, log_config=None) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        first, second = [await client.get("/bug/ann@people.test") for _ in range(2)]
        named = await client.get("/bug/ann", headers={HEADER: "lb-7f3a:1"})
    assert named.headers[HEADER] == named.json()["request_id"] == "lb-7f3a:1"
    assert uuid.UUID(first.json()["request_id"]) != uuid.UUID(second.json()["request_id"])
    failures = [entry for entry in logged() if "exception" in entry]
    about = [(entry["method"], entry["route"], entry["request_id"]) for entry in failures]
    assert about == [("GET", "/bug/{who}", one.headers[HEADER]) for one in (first, second, named)]
    assert "ann@" not in json.dumps(
        [{name: entry[name] for name in entry if name != "exception"} for entry in failures]
    )


async def test_so_is_a_database_that_does_not_answer(settings: Settings, logged: Any) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:9/nothing")
    transport = httpx.ASGITransport(create_app(settings, gone))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/v1/tracks", headers={"Authorization": "Bearer pk_x"})
    await gone.close()
    (entry,) = logged()
    assert answer.status_code == 503
    assert (entry["route"], entry["request_id"]) == ("/v1/tracks", answer.json()["request_id"])


async def test_each_refusal_has_an_id_and_what_goes_well_has_none(api: Api, anonymous: httpx.AsyncClient) -> None:
    refused = [await anonymous.get("/v1/tracks"), await anonymous.get("/no"), await api.contact("user-1", email=3)]
    assert [one.status_code for one in refused] == [401, 404, 422]
    assert len({one.headers[HEADER] for one in refused}) == 3
    assert HEADER not in (await api.get("/v1/tracks")).headers


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_no_caller_writes_into_the_log_what_they_like(told: str) -> None:
    scope = {"type": "http", "headers": [(b"x-request-id", told.encode("latin-1"))]}
    found = request_id(scope)
    assert found == request_id(scope)
    assert found.isascii() and found.isprintable() and not set(found) & set(' @<>"\\') and 0 < len(found) <= 128
