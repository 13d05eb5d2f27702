"""`perennial import` and `perennial imports`, as users type them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from activities.contract import ChunkCall
from activities.imports.import_chunks import ImportActivities
from api.app import create_app
from cli.main import app
from settings import Settings, get_settings
from store.engine.database import Database
from store.operations import api_keys
from store.runs.imports import imports
from tests.activities.imports.test_import_chunks import TRACK, nobody_is_busy
from tests.api.server import serve
from tests.cli.over_api.conftest import Command
from tests.support.enrolling import publish


@pytest.fixture
async def perennial(
    db: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Command]:
    """The command line against an API, with a task that applies running imports."""
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path / "data"))
    get_settings.cache_clear()
    await publish(db, TRACK.format(name="welcome", reentry="never"))
    async with db.transaction() as tx:
        _, key = await api_keys.create(tx, "cli")
    settings = Settings(DATABASE_URL=SecretStr(postgres_url), secret=SecretStr("a secret of thirty-two characters!"))

    async def apply() -> None:
        activities = ImportActivities(db, nobody_is_busy)
        while True:
            async with db.transaction() as tx:
                found = await imports.list_page(tx, state="running")
            for one in found:
                await activities.apply_chunk(ChunkCall(import_id=one.id))
            await asyncio.sleep(0.05)

    async with serve(create_app(settings, db)) as url:
        applying = asyncio.create_task(apply())

        def run(*words: str) -> asyncio.Future[Result]:
            given = [*words, "--url", url, "--key", key]
            return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, app, given))

        yield run
        applying.cancel()
        with suppress(asyncio.CancelledError):
            await applying
    get_settings.cache_clear()


async def test_a_file_is_imported_and_what_is_wrong_is_written_down(perennial: Command, tmp_path: Path) -> None:
    file, problems = tmp_path / "people.csv", tmp_path / "problems.csv"
    file.write_text("id;email\nuser-1;ada@example.com\nuser-2;bob@\n")
    words = ["--track", "welcome", "--id-column", "id", "--delimiter", "semicolon", "--rate", "500"]
    done = await perennial("import", str(file), *words, "--problems", str(problems))
    assert done.exit_code == 1, done.output
    assert "2 rows received" in done.stdout
    assert "completed  2 of 2 rows  1 bad, 1 enrolled" in done.stdout
    assert problems.read_text().splitlines()[1].startswith("3,bad,user-2,email,")


async def test_a_sound_file_ends_with_status_0(perennial: Command, tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text('{"contact_id": "user-1"}\n{"contact_id": "user-2"}\n')
    done = await perennial("import", str(file), "--track", "welcome")
    assert done.exit_code == 0, done.output
    assert "2 enrolled" in done.stdout


async def test_what_is_refused_says_everything_that_is_wrong(perennial: Command, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("mail,mail\nx,y\n")
    refused = await perennial("import", str(file), "--track", "welcome")
    assert refused.exit_code == 1
    assert "line 1: Columns `mail` and `mail` are the same." in refused.stderr
    assert "line 1: There is no column `contact_id`" in refused.stderr
    assert (await perennial("import", str(file), "--track", "nothing")).exit_code == 1
    (tmp_path / "people.pdf").touch()
    assert (await perennial("import", str(tmp_path / "people.pdf"), "--track", "welcome")).exit_code == 1


async def test_an_import_is_listed_steered_and_watched(perennial: Command, db: Database) -> None:
    async with db.transaction() as tx:
        job = await imports.begin(tx, "welcome", {}, per_second=1)
        await imports.start(tx, job.id)
        await imports.steer(tx, job.id, "pause")
    assert "welcome  paused  0 of 0 rows" in (await perennial("imports", "list")).stdout
    assert "paused" in (await perennial("imports", "rate", job.id, "7")).stdout
    assert "running" in (await perennial("imports", "resume", job.id)).stdout
    watched = await perennial("imports", "watch", job.id)
    assert (watched.exit_code, "completed" in watched.stdout) == (0, True)
    refused = await perennial("imports", "cancel", job.id)
    assert (refused.exit_code, refused.stderr) == (1, "The import is completed.\n")
    assert (await perennial("imports", "pause", "unheard-of")).exit_code == 1


async def test_ctrl_c_leaves_the_import_running_and_says_how_to_look_again(
    perennial: Command, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.transaction() as tx:
        job = await imports.begin(tx, "welcome", {}, per_second=1)
        await imports.start(tx, job.id)
        await imports.steer(tx, job.id, "pause")

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    stopped = await perennial("imports", "watch", job.id)
    monkeypatch.undo()
    assert stopped.exit_code == 130
    assert f"perennial imports watch {job.id}" in stopped.stderr
    async with db.transaction() as tx:
        found = await imports.get(tx, job.id)
    assert found is not None and found.state == "paused"
