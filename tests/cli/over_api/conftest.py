"""The command line against an API of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from api.app import create_app
from cli.main import app
from settings import Settings, get_settings
from store.engine.database import Database
from store.operations import api_keys
from tests.api.client import Api
from tests.api.server import serve

Command = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=5)
    yield database
    await database.close()


@pytest.fixture
async def served(
    db: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Api]:
    """A caller of the API, and the environment through which commands find it."""
    settings = Settings(DATABASE_URL=SecretStr(postgres_url), secret=SecretStr("a secret of thirty-two characters!"))
    async with db.transaction() as tx:
        _, key = await api_keys.create(tx, "cli")
    async with serve(create_app(settings, db)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("PERENNIAL_PUBLIC_URL", url)
        monkeypatch.setenv("PERENNIAL_API_KEY", key)
        get_settings.cache_clear()
        yield Api(client, key)
    get_settings.cache_clear()


@pytest.fixture
def perennial(served: Api) -> Command:
    def run(*words: str) -> asyncio.Future[Result]:
        return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, app, list(words)))

    return run
