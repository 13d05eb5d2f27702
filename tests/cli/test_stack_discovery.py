"""A command uses the stack that it is meant for, or none: never another program at a default address."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from infra.launch.ports import any_free
from infra.launch.stack import TEMPORAL_VARIABLES
from infra.launch.state import State, started_at, write_private
from settings import get_settings
from tests.conftest import DevServer

NOBODY = "127.0.0.1:1"
Command = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack's folder. The environment names no services, and the user's Temporal profile names another server."""
    for name in (*TEMPORAL_VARIABLES, "TEMPORAL_NAMESPACE", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    profile = tmp_path / "config" / "temporalio" / "temporal.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(f'[profile.default]\naddress = "{NOBODY}"\nnamespace = "elsewhere"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path / "stack"))
    (tmp_path / "stack").mkdir()
    State(tmp_path / "stack").secrets()
    return tmp_path / "stack"


@pytest.fixture
def perennial() -> Command:
    def run(*words: str) -> Result:
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, words)
        finally:
            get_settings.cache_clear()

    return run


def runs(folder: Path, **addresses: Any) -> None:
    """Write the state of a running stack. This process plays the stack."""
    own = {"pid": os.getpid(), "started": started_at(os.getpid())}
    write_private(folder / "running.json", own | {"children": [], "addresses": addresses})


def test_the_running_stacks_own_is_reached_whatever_profile_the_user_has(
    folder: Path, perennial: Command, dev_server: DevServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporal = {"temporal": dev_server.address, "namespace": dev_server.namespace}
    runs(folder, database=postgres_url, **temporal, ui="http://127.0.0.1:1")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")  # not for the embedded server
    listed = perennial("limits", "list")
    assert listed.exit_code == 0, listed.stderr
    looked = perennial("doctor", "--json")
    assert {"no-leader"} <= {group["kind"] for group in json.loads(looked.stdout)["groups"]}


@pytest.mark.parametrize("words", [("limits", "set", "email", "0"), ("doctor", "--repair", "--lost", "close")])
@pytest.mark.parametrize("part", ["temporal", "namespace"])
def test_a_stack_of_an_older_version_is_refused_and_no_usual_address_asked(
    folder: Path, perennial: Command, postgres_url: str, words: tuple[str, ...], part: str
) -> None:
    addresses = {"database": postgres_url, "temporal": NOBODY, "namespace": "default", "api": "http://127.0.0.1:1"}
    runs(folder, **{name: at for name, at in addresses.items() if name != part})
    refused = perennial(*words)
    assert refused.exit_code == 1
    assert f"has not written down its {part}" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [("limits", "list"), ("doctor",), ("breakers", "list"), ("publish", "tracks/library"), ("key", "list")],
    ids=lambda words: words[0],
)
def test_one_that_comes_up_or_was_killed_is_said_and_nothing_else_asked(
    folder: Path, perennial: Command, words: tuple[str, ...]
) -> None:
    runs(folder)
    early = perennial(*words)
    assert early.exit_code == 1 and "still coming up" in early.stderr
    (folder / "running.json").write_text(json.dumps({"pid": 2**22 + 1, "addresses": {"temporal": NOBODY}}))
    late = perennial(*words)
    assert late.exit_code == 1 and "does not run" in late.stderr


def test_database_and_temporal_of_two_installations_are_refused(
    folder: Path, perennial: Command, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(folder, database=postgres_url, temporal=NOBODY, namespace="default")
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{any_free()}")
    refused = perennial("doctor")
    assert refused.exit_code == 1 and f"The local stack's Temporal is {NOBODY}" in refused.stderr
    monkeypatch.delenv("TEMPORAL_ADDRESS")
    monkeypatch.setenv("DATABASE_URL", postgres_url + "?application_name=another")
    refused = perennial("doctor")
    assert refused.exit_code == 1 and "set TEMPORAL_ADDRESS to its Temporal too" in refused.stderr
