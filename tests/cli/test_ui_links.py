"""The printed links lead to the running stack, and show the lists that the pages describe."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from api.app import create_app
from cli.main import app
from infra.launch.state import State, started_at, write_private
from infra.launch.temporal import SEARCH_ATTRIBUTES
from infra.launch.ui_links import COLUMNS, saved_queries
from settings import Settings, get_settings
from store.engine.database import Database
from store.operations import api_keys
from tests.api.server import serve
from tests.docs.test_examples import ui_queries
from tests.support.enrolling import enroll, publish, upsert_contact

UI = "http://127.0.0.1:18233"


def perennial(*words: str) -> Result:
    get_settings.cache_clear()
    try:
        return CliRunner().invoke(app, ["ui-links", *words])
    finally:
        get_settings.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path))
    return tmp_path


def runs(folder: Path, **addresses: str) -> None:
    own = {"pid": os.getpid(), "started": started_at(os.getpid())}
    write_private(folder / "running.json", own | {"children": [], "addresses": addresses})


def query_of(told: Result, what: str) -> str:
    address: str = json.loads(told.stdout)[what]
    return parse_qs(urlsplit(address).query)["query"][0]


def without_times(query: str) -> str:
    return re.sub(r'"\d{4}-[^"]*Z"', '"(a time)"', query)


def test_they_lead_to_the_running_stack(folder: Path) -> None:
    runs(folder, ui=UI, namespace="own")
    told = perennial("--json", "--track", "win-back", "--contact", "user_1042")
    found = {what: urlsplit(address) for what, address in json.loads(told.stdout).items()}
    assert {f"{one.scheme}://{one.netloc}{one.path}" for one in found.values()} == {f"{UI}/namespaces/own/workflows"}
    queries = {what: parse_qs(one.query)["query"][0] for what, one in found.items()}
    wanted = saved_queries("win-back", "nurture/win-back/user_1042")
    assert {what: without_times(query) for what, query in queries.items()} == {
        what: without_times(query) for what, query in wanted.items()
    }
    shown = perennial().stdout
    assert f"  {found['all runs under way'].geturl()}\n" in shown
    for name in COLUMNS:
        assert name in SEARCH_ATTRIBUTES and name in shown


def test_the_pages_name_the_same_lists() -> None:
    """`tests/docs/test_operations.py` runs the pages' queries on a real Temporal."""
    named = {without_times(query) for query in ui_queries()}
    contact = saved_queries("win-back", "nurture/win-back/user_1042").values()
    assert {without_times(query) for query in contact} - named <= {
        'Track="win-back" AND State="waiting" AND ExecutionStatus="Running"'  # of another track there
    }


def test_without_a_stack_it_says_what_to_name(folder: Path) -> None:
    told = perennial()
    assert told.exit_code == 1 and "--ui" in told.stderr
    assert "https://ui.test/namespaces/default/workflows?query=" in perennial("--ui", "https://ui.test/").stdout
    runs(folder, temporal="127.0.0.1:1", namespace="default")
    assert "of your own" in perennial().stderr
    State(folder).secrets()
    (folder / "running.json").unlink()
    assert "does not run" in perennial().stderr
    for wrong in (("--contact", 'c"'), ("--track", 'a" OR "b')):
        assert perennial(*wrong).exit_code == 1


def test_the_link_to_a_contact_leads_to_nobody_else(folder: Path) -> None:
    told = perennial("--ui", UI, "--json", "--track", "win-back", "--contact", "user/1")
    run = "nurture/win-back/user%2F1"
    assert query_of(told, "one contact") == f'WorkflowId = "{run}" OR WorkflowId STARTS_WITH "{run}/"'


async def test_a_contact_is_found_in_every_track(folder: Path, postgres_url: str) -> None:
    database = Database(postgres_url, pool_size=2)
    async with database.transaction() as tx:
        _, key = await api_keys.create(tx, "cli")
    for name in ("first", "second"):
        await publish(database, f"{{track: {name}, reentry: {{per: cart}}, steps: [{{id: pause, wait: 1d}}]}}")
    await upsert_contact(database, "user_1")
    await enroll(database, "first", "user_1", properties={"cart": "a"})
    await enroll(database, "second", "user_1", properties={"cart": "b"})
    settings = Settings(DATABASE_URL=SecretStr(postgres_url), secret=SecretStr("a secret of thirty-two characters!"))
    async with serve(create_app(settings, database)) as url:
        words = ("--ui", UI, "--json", "--url", url, "--key", key, "--contact")
        told = await asyncio.to_thread(perennial, *words, "user_1")
        nobody = await asyncio.to_thread(perennial, *words, "user_2")
    await database.close()
    wanted = 'WorkflowId IN ("nurture/second/user_1/b", "nurture/first/user_1/a")'
    assert query_of(told, "one contact, in every track") == wanted
    assert nobody.exit_code == 1 and "No enrolment of user_2" in nobody.stderr
