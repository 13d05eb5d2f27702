"""The links that are printed lead to the stack that runs, and show what the pages say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from infra.launch.state import State, started_at, write_private
from infra.launch.ui_links import saved_queries
from settings import get_settings
from tests.docs.test_examples import ui_queries

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


def without_times(query: str) -> str:
    return re.sub(r'"\d{4}-[^"]*Z"', '"(a time)"', query)


def test_they_lead_to_the_running_stack(folder: Path) -> None:
    runs(folder, ui=UI, namespace="own")
    told = perennial("--json", "--track", "win-back", "--contact", "user_1042")
    found = {what: urlsplit(address) for what, address in json.loads(told.stdout).items()}
    assert {f"{one.scheme}://{one.netloc}{one.path}" for one in found.values()} == {f"{UI}/namespaces/own/workflows"}
    queries = {what: parse_qs(one.query)["query"][0] for what, one in found.items()}
    wanted = saved_queries("win-back", "user_1042")
    assert {what: without_times(query) for what, query in queries.items()} == {
        what: without_times(query) for what, query in wanted.items()
    }
    assert f"  {found['all runs under way'].geturl()}\n" in perennial().stdout


def test_the_pages_name_the_same_lists() -> None:
    """Those of the pages are put to a real Temporal in `tests/docs/test_operating.py`."""
    named = {without_times(query) for query in ui_queries()}
    assert {without_times(query) for query in saved_queries("win-back", "user_1042").values()} - named <= {
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
    for wrong in (("--contact", "c"), ("--track", 'a" OR "b')):
        assert perennial(*wrong).exit_code == 1
