"""Rules for the whole application: problems, health, metrics, the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from settings import Settings
from store.engine.database import Database
from tests.api.client import Api, track


@pytest.fixture
async def without_database(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The API while PostgreSQL is down."""
    gone = Database("postgresql://nobody@127.0.0.1:9/nothing")
    transport = httpx.ASGITransport(create_app(settings, gone))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client
    await gone.close()


async def test_every_refusal_is_a_problem(anonymous: httpx.AsyncClient) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("PATCH", "/healthz", 405), ("GET", "/v1/tracks", 401)):
        answer = await anonymous.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        problem = answer.json()
        assert problem["status"] == status
        assert problem["type"].startswith("urn:perennial:problem:")
        assert problem["title"]
        assert problem["detail"]


async def test_a_wrong_method_is_told_all_the_right_ones(anonymous: httpx.AsyncClient) -> None:
    for path, allowed in (("/v1/tracks/welcome", "GET, PUT"), ("/v1/contacts/user-1", "DELETE, GET, PUT")):
        answer = await anonymous.patch(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_bug_is_a_problem_that_tells_nothing(app: FastAPI, settings: Settings) -> None:
    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("the password is swordfish")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/bug")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "swordfish" not in answer.text


async def test_alive_and_ready(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/healthz")).json() == {"status": "ok"}
    ready = await anonymous.get("/readyz")
    assert (ready.status_code, ready.json()["temporal"]) == (200, "not configured")


async def test_ready_although_temporal_is_down(settings: Settings, db: Database) -> None:
    lazy = await Client.connect("127.0.0.1:9", lazy=True)
    transport = httpx.ASGITransport(create_app(settings, db, lazy))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "database": "ok", "temporal": "unreachable"},
    )


async def test_without_the_database_it_lives_and_asks_to_come_again(without_database: httpx.AsyncClient) -> None:
    assert (await without_database.get("/healthz")).status_code == 200
    for path in ("/readyz", "/metrics", "/v1/tracks"):
        answer = await without_database.get(path, headers={"Authorization": "Bearer pk_x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "urn:perennial:problem:unavailable"


async def test_figures_tell_what_happened_and_nothing_personal(api: Api) -> None:
    await api.publish(track())
    await api.contact("user-1", email="grace@example.com")
    await api.enroll("user-1")
    for _ in range(2):
        await api.event("user-1", "email.clicked", event_id="e-1")
    await api.client.post("/webhooks/ses", content="{}")
    answer = await api.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    figures = answer.text.splitlines()
    assert 'perennial_events_accepted_total{source="api"} 1.0' in figures
    assert 'perennial_events_duplicate_total{source="api"} 1.0' in figures
    assert "perennial_events_matched_total 1.0" in figures
    assert "perennial_outbox_depth 2.0" in figures
    assert 'perennial_dropped_total{kind="event",reason="duplicate",track=""} 1.0' in figures
    assert 'perennial_rejected_total{reason="forged",source="ses"} 1.0' in figures
    assert 'perennial_http_requests_total{method="POST",route="/v1/events",status="202"} 2.0' in figures
    assert "user-1" not in answer.text
    assert "grace" not in answer.text


async def test_a_stranger_cannot_blow_the_figures_up(anonymous: httpx.AsyncClient) -> None:
    for number in range(20):
        await anonymous.request(f"X{number}", f"/nothing/{number}")
    lines = [line for line in (await anonymous.get("/metrics")).text.splitlines() if "http_requests_total{" in line]
    assert lines == ['perennial_http_requests_total{method="other",route="unmatched",status="404"} 20.0']


async def test_browsers_of_other_origins_are_kept_out_unless_named(
    anonymous: httpx.AsyncClient, settings: Settings, db: Database
) -> None:
    asking = {"Origin": "https://app.acme.test", "Access-Control-Request-Method": "POST"}
    refused = await anonymous.options("/v1/events", headers=asking)
    assert "access-control-allow-origin" not in refused.headers
    opened = create_app(settings, db, cors_origins=("https://app.acme.test",))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(opened), base_url="http://api") as client:
        allowed = await client.options("/v1/events", headers=asking)
    assert allowed.headers["access-control-allow-origin"] == "https://app.acme.test"


def test_the_document_describes_every_call_and_its_refusals(app: FastAPI) -> None:
    document = app.openapi()
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            assert call["summary"], path
            assert call["tags"], path
            keyed = path.startswith("/v1")
            assert bool(call.get("security")) is keyed, path
            if keyed:
                assert "401" in call["responses"], path
            for status, answer in call["responses"].items():
                if status.startswith(("4", "5")) and not path.startswith(
                    ("/u/", "/c/", "/o/", "/confirm/", "/crm", "/handoff/")
                ):
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
    assert "HTTPValidationError" not in json.dumps(document)


def test_an_api_that_would_believe_anybodys_topic_does_not_start_in_production(
    settings: Settings, db: Database
) -> None:
    settings.environment, settings.sns_certificate_url = "production", None
    with pytest.raises(ValueError, match="PERENNIAL_SNS_TOPIC_ARNS"):
        create_app(settings, db)
    settings.sns_topic_arns = ("arn:aws:sns:eu-west-1:111122223333:perennial-ses",)
    create_app(settings, db)
