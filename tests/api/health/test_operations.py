"""The operating calls have a port of their own, cost little, and reveal nothing; answers have security headers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.health.api_health import Kept, operations_app
from bench.installation.fork_server import ForkServer
from infra.launch.ports import HOST, any_free
from infra.launch.temporal import without_temporal_environment
from settings import Settings
from store.engine.database import Database
from tests.api.client import Api
from tests.support.forked import forked


def caller(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://nurture.acme.test")


@pytest.fixture
def production(settings: Settings) -> Settings:
    topics = ("arn:aws:sns:eu-west-1:1:x",)
    update = {"environment": "production", "sns_topic_arns": topics, "sns_certificate_url": None}
    return settings.model_copy(update=update)


async def test_with_a_port_of_their_own_they_are_not_on_the_public_one(settings: Settings, db: Database) -> None:
    public = create_app(settings.model_copy(update={"operations_port": 9000}), db)
    async with caller(public) as anonymous:
        assert [(await anonymous.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics")] == [
            200,
            404,
            404,
        ]
        assert "/metrics" not in public.openapi()["paths"]
    async with caller(operations_app(public)) as operator:
        assert [(await operator.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
        assert (await operator.get("/v1/tracks")).status_code == 404
        figures = (await operator.get("/metrics")).text
    assert 'perennial_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in figures


async def test_what_was_just_asked_is_not_asked_again() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        if asked == 1:
            raise OSError
        return asked

    kept = Kept(0.2, ask)
    with pytest.raises(OSError):
        await kept.get()
    assert await asyncio.gather(*(kept.get() for _ in range(50))) == [2] * 50
    await asyncio.sleep(0.3)
    assert await kept.get() == 3


async def test_many_scrapes_read_the_database_once(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    stored, read = app.state.operations.stored, 0
    ask = stored._ask

    async def counted() -> object:
        nonlocal read
        read += 1
        return await ask()

    stored._ask = counted
    answers = await asyncio.gather(*(anonymous.get("/metrics") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert read == 1


async def test_in_production_a_stranger_is_shown_no_document_unless_it_is_asked_for(
    production: Settings, db: Database
) -> None:
    for wanted, status in ((None, 404), (True, 200), (False, 404)):
        async with caller(create_app(production.model_copy(update={"docs": wanted}), db)) as anonymous:
            assert [(await anonymous.get(path)).status_code for path in ("/docs", "/openapi.json")] == [status] * 2
            assert (await anonymous.patch("/v1/tracks/welcome")).headers["allow"] == "GET, PUT"


def test_production_has_to_be_reached_by_https(production: Settings, db: Database) -> None:
    with pytest.raises(ValueError, match="https"):
        create_app(production.model_copy(update={"public_url": "http://nurture.acme.test"}), db)


@pytest.mark.parametrize("path", ["/healthz", "/v1/tracks", "/u/nobody", "/c/nobody", "/docs", "/openapi.json", "/no"])
async def test_every_answer_protects_browsers(anonymous: httpx.AsyncClient, path: str) -> None:
    headers = (await anonymous.get(path)).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["strict-transport-security"] == "max-age=31536000"


async def test_the_page_of_a_full_api_protects_browsers_too(settings: Settings, db: Database) -> None:
    app = create_app(settings.model_copy(update={"requests_at_once": 1, "requests_waiting": 0}), db)
    async with caller(app) as anonymous, db.transaction():
        asked = [anonymous.get("/u/nobody", headers={"Accept": "text/html"}) for _ in range(20)]
        full = [one for one in await asyncio.gather(*asked) if one.status_code == 429]
    for one in full:
        assert "style-src 'unsafe-inline'" in one.headers["content-security-policy"]
        assert one.headers["x-content-type-options"] == "nosniff"


async def test_without_https_no_browser_is_told_to_use_it(settings: Settings, db: Database) -> None:
    async with caller(create_app(settings.model_copy(update={"public_url": "http://127.0.0.1:8000"}), db)) as anonymous:
        assert "strict-transport-security" not in (await anonymous.get("/healthz")).headers


async def test_nobody_is_led_to_the_host_that_they_name(anonymous: httpx.AsyncClient, api: Api) -> None:
    for path in ("/u/abc/", "/v1/tracks/", "/healthz/", "/c/abc/"):
        answer = await anonymous.get(path, headers={"Host": "evil.test"})
        assert (answer.status_code, answer.headers.get("location")) == (404, None)


@pytest.fixture
def served(postgres_url: str, tmp_path: Path, forks: ForkServer) -> Iterator[tuple[str, str]]:
    """The real API process with its two ports."""
    public, operations = any_free(), any_free()
    environment = without_temporal_environment() | {
        "DATABASE_URL": postgres_url,
        "TEMPORAL_ADDRESS": f"{HOST}:9",
        "PERENNIAL_SECRET": "s" * 40,
        "PERENNIAL_OPERATIONS_PORT": str(operations),
    }
    child = forked(forks, "api", "api", "--port", str(public), log=tmp_path / "api.log", env=environment)

    def answers() -> bool:
        try:
            return httpx.get(f"http://{HOST}:{public}/healthz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        child.wait_ready(answers, 60)
        yield f"http://{HOST}:{public}", f"http://{HOST}:{operations}"
    finally:
        child.stop(5)
    assert child.popen.returncode == 0


def test_the_process_listens_on_both(served: tuple[str, str]) -> None:
    public, operations = served
    assert httpx.get(f"{operations}/readyz", trust_env=False, timeout=30).json()["temporal"] == "unreachable"
    assert httpx.get(f"{operations}/metrics", trust_env=False, timeout=30).status_code == 200
    assert httpx.get(f"{public}/metrics", trust_env=False, timeout=30).status_code == 404
