"""`perennial publish` and `preview` as JSON, and how they print texts of others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from api.app import create_app
from cli.main import app
from settings import Settings, get_settings
from store.engine.database import Database
from store.operations import api_keys
from tests.api.client import EMAIL_TEMPLATE, track
from tests.api.server import serve
from tests.cli.over_api.conftest import Command

SENDER = "defaults: {email: {from: 'Ada <ada@acme.test>'}}\n"


@pytest.fixture
async def perennial(postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Command]:
    """The command line against an API."""
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path / "data"))
    get_settings.cache_clear()
    database = Database(postgres_url, pool_size=5)
    async with database.transaction() as tx:
        _, key = await api_keys.create(tx, "cli")
    settings = Settings(DATABASE_URL=SecretStr(postgres_url), secret=SecretStr("a secret of thirty-two characters!"))
    async with serve(create_app(settings, database)) as url:
        monkeypatch.setenv("PERENNIAL_PUBLIC_URL", url)
        monkeypatch.setenv("PERENNIAL_API_KEY", key)

        def run(*words: str) -> asyncio.Future[Result]:
            return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, app, words))

        yield run
    await database.close()
    get_settings.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A track and the template that it sends."""
    found = tmp_path / "tracks"
    found.mkdir()
    (found / "welcome.yaml").write_text(track(more=SENDER, steps="  - {id: hello, email: {template: hello}}\n"))
    (found / "hello.mjml").write_text(EMAIL_TEMPLATE)
    return found


async def test_publishing_tells_machines_what_became_of_each_document(perennial: Command, folder: Path) -> None:
    async def told(*more: str) -> tuple[int, dict[str, Any], list[Any]]:
        result = await perennial("publish", str(folder), "--json", *more)
        answer = json.loads(result.stdout)
        documents = [(one["kind"], one["name"], one["version"], one["outcome"]) for one in answer.pop("documents")]
        return result.exit_code, answer, documents

    new = [("template", "hello", 1, "new"), ("track", "welcome", 1, "new")]
    sound: dict[str, Any] = {"warnings": [], "problems": []}
    assert await told("--dry-run") == (0, {"published": False, "dry_run": True} | sound, new)
    assert await told() == (0, {"published": True, "dry_run": False} | sound, new)
    (folder / "welcome.yaml").write_text("track: welcome\nsteps:\n  - {id: a, wait: soon}\n")
    status, answer, documents = await told()
    assert (status, answer["published"], documents) == (1, False, [])
    assert [problem.split(" ")[0] for problem in answer["problems"]] == [f"{folder}/welcome.yaml:3:"]


async def test_a_preview_is_told_to_machines(perennial: Command, folder: Path) -> None:
    result = await perennial("preview", str(folder / "hello.mjml"), "--json")
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["kind"], shown["subject"]) == (0, "email", "Welcome"), result.stderr
    assert "<html" in shown["html"] and "Good to have you." in shown["text"]


async def test_a_key_that_is_not_known_is_said_to_be_that(perennial: Command, folder: Path) -> None:
    file = folder.with_name("people.csv")
    file.write_text("contact_id\nuser_1\n")
    for words in (
        ["publish", str(folder)],
        ["preview", "hello"],
        ["preview", str(folder / "hello.mjml")],
        ["import", str(file), "--track", "welcome"],
        ["imports", "list"],
    ):
        told = await perennial(*words, "--key", "bad")
        assert (told.exit_code, told.stdout) == (1, ""), words
        assert told.stderr.count("The API does not know this key.") == 1, told.stderr


async def test_what_others_wrote_drives_no_terminal(perennial: Command, folder: Path) -> None:
    (folder / "evil.yaml").write_text('track: evil\nsteps:\n  - {id: a, "x\\e]0;title\\a \u202e": 3}\n')
    told = await perennial("publish", str(folder))
    assert told.exit_code == 1 and r"\u202e" in told.stderr, told.stderr
    assert not set(told.stderr) & set("\x1b\x07\u202e")
