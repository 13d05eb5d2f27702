"""If a service is down or a setting is wrong, each command says so in one sentence that names what to check."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

import worker
from cli.main import app
from cli.shared.error_sentences import sentence
from infra.launch.stack import TEMPORAL_VARIABLES
from settings import get_settings
from tests.conftest import DevServer

PASSWORD = "s3cret-of-the-database"
DEAD = f"postgresql://nurse:{PASSWORD}@127.0.0.1:1/none"
ROOT = Path(__file__).parents[3]

WORDS: dict[str, list[str]] = {
    "up": ["--no-crowd", "--exit"],
    "publish": ["tracks/library", "--url", "http://127.0.0.1:1"],
    "preview": ["trial-welcome", "--url", "http://127.0.0.1:1"],
    "suppress": ["ann@people.test"],
    "unsuppress": ["ann@people.test"],
    "consents": ["user_1"],
    "import": ["tests/cli/__init__.py", "--track", "welcome"],
    "key create": ["backend"],
    "key revoke": ["0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"],
    "breakers hold": ["account:sms", "--reason", "an incident"],
    "breakers resume": ["account:sms"],
    "limits set": ["crm", "2"],
    "limits clear": ["crm"],
    "imports watch": ["1"],
    "show": ["user_1"],
    "contacts merge": ["user_1", "anon_7"],
    "contacts unmerge": ["user_1", "anon_7"],
    "contacts merges": ["user_1"],
    "enrollments show": ["1"],
    "enrollments skip-wait": ["1"],
    "enrollments end": ["1"],
    "messages show": ["1"],
    "handoffs show": ["1"],
    "handoffs accept": ["1"],
    "handoffs quality": ["lead"],
    "handoffs reject": ["1", "--reason", "not-a-fit"],
    "tracks show": ["welcome"],
    "scores preview": ["tests/cli/__init__.py"],
    "scores show": ["s"],
    "scores contacts": ["s"],
    "scores export": ["s"],
    "scores sizes": ["s"],
    "scores quality": ["s"],
    "scores why": ["s", "user-1"],
    "scores check": ["s"],
    "scores steer": ["pause", "s", "1"],
    "crm complete": ["1"],
    "crm notes": ["user_1"],
    "crm stage": ["user_1"],
    "crm sign-in": ["ada"],
    "crm sign-out": ["ada"],
    "segments preview": ["tests/cli/__init__.py"],
    "tracks preview": ["tests/cli/__init__.py"],
    "segments show": ["s"],
    "segments members": ["s"],
    "segments export": ["s"],
    "segments sizes": ["s"],
    "segments why": ["s", "user-1"],
    "segments check": ["s"],
    "segments steer": ["pause", "s", "1"],
    "segments webhooks list": ["s"],
    "segments webhooks set": ["s", "w", "https://hooks.acme.example/s"],
    "segments webhooks pause": ["s", "w"],
    "segments webhooks resume": ["s", "w"],
    "segments webhooks send-all": ["s", "w"],
    "segments webhooks delete": ["s", "w"],
    "imports pause": ["1"],
    "imports resume": ["1"],
    "imports cancel": ["1"],
    "imports rate": ["1", "5"],
}
"""The arguments that a command needs."""
WITHOUT = {"schema", "ui-links"}
"""Commands that need neither the database nor Temporal nor the API."""
SERVES_ON = {"api"}
"""It starts while both are down: its `/readyz` reports a failing database."""
OWN_SERVERS = "bench"
"""Starts servers of its own."""


def every(command: Any, name: str = "") -> Iterator[str]:
    """The names of all commands."""
    for word, one in command.commands.items():
        full = f"{name} {word}".strip()
        if hasattr(one, "commands"):
            yield from every(one, full)
        elif not full.startswith(OWN_SERVERS):
            yield full


COMMANDS = sorted(every(get_command(app)))
ASKS = [name for name in COMMANDS if name not in WITHOUT | SERVES_ON]


@pytest.fixture
def perennial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """Run a command in an environment in which no service answers."""
    for name in (*TEMPORAL_VARIABLES, "TEMPORAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", DEAD)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("PERENNIAL_PUBLIC_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PERENNIAL_API_KEY", "pk_known")
    monkeypatch.setattr(worker, "DATABASE_WAIT", 0.1)
    monkeypatch.setattr("infra.api_client.imports._PATIENCE", 0.1)
    monkeypatch.setattr("infra.logs.set_up", lambda *, json: None)  # it would change logging for all later tests
    monkeypatch.chdir(ROOT)

    def run(name: str) -> Result:
        words = [*name.split(), *WORDS.get(name, ())]
        if name == "import":
            file = tmp_path / "people.csv"
            file.write_text("contact_id\nuser_1\n")
            words[1] = str(file)
        if name == "up":  # it handles the process's signals, and ends the process
            done = subprocess.run(
                [sys.executable, "-m", "cli", *words], env=dict(os.environ), capture_output=True, check=False
            )
            said = done.stdout + done.stderr
            return Result(CliRunner(), said, said, said, None, done.returncode, SystemExit(done.returncode), None)
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, words)
        finally:
            get_settings.cache_clear()

    return run


def in_a_sentence(told: Result, *names: str) -> None:
    assert isinstance(told.exception, SystemExit), told.exception
    assert told.exit_code == 1, told.output
    for never in ("Traceback", PASSWORD, "tonic", "sqlalche.me", "pydantic", "header"):
        assert never not in told.output
    last = told.output.strip().splitlines()[-1]
    assert any(name in last for name in names), last


@pytest.mark.parametrize("name", ASKS)
def test_each_command_says_what_is_away(name: str, perennial: Callable[[str], Result]) -> None:
    in_a_sentence(
        perennial(name), "DATABASE_URL", "TEMPORAL_ADDRESS", "Temporal does not answer", "API does not answer"
    )


@pytest.mark.parametrize("key", ["", "pk known", "pk_schlüssel"])
@pytest.mark.parametrize("name", ["publish", "preview", "import", "imports list", "imports watch"])
def test_a_key_that_is_missing_or_none_is_said(
    name: str, key: str, perennial: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_API_KEY", key)
    in_a_sentence(perennial(name), "PERENNIAL_API_KEY")


@pytest.mark.parametrize("name", [name for name in ASKS if name != "up"])
def test_each_command_says_what_is_set_wrongly(
    name: str, perennial: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_QUEUE_RATES", "fast")
    in_a_sentence(perennial(name), "PERENNIAL_QUEUE_RATES")
    monkeypatch.setenv("PERENNIAL_QUEUE_RATES", "{}")
    monkeypatch.setenv("PERENNIAL_ENVIRONMENT", "prod")
    monkeypatch.setenv("PERENNIAL_DATABASE_POOL", "many")
    in_a_sentence(perennial(name), "PERENNIAL_ENVIRONMENT: Input should be 'development' or 'production'; PERENN")


@pytest.mark.parametrize("name", ["api", "worker"])
def test_production_without_https_is_said(
    name: str,
    perennial: Callable[[str], Result],
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str,
    dev_server: DevServer,
) -> None:
    for variable, value in dev_server.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("PERENNIAL_ENVIRONMENT", "production")
    monkeypatch.setenv("PERENNIAL_SECRET", "a secret of thirty-two characters!")
    monkeypatch.setenv("PERENNIAL_SNS_TOPIC_ARNS", '["arn:aws:sns:eu-west-1:111122223333:perennial-ses"]')
    in_a_sentence(perennial(name), "PERENNIAL_PUBLIC_URL must begin with https://")


@pytest.mark.parametrize(("name", "more"), [("api", ["PERENNIAL_SNS_TOPIC_ARNS"]), ("worker", [])])
def test_all_that_production_refuses_is_said_at_once(
    name: str, more: list[str], perennial: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_ENVIRONMENT", "production")
    monkeypatch.setenv("PERENNIAL_ADDRESS_SECRET", "short")
    told = perennial(name)
    in_a_sentence(told, "Wrong settings: in production, ")
    refused = ["PERENNIAL_SECRET", "PERENNIAL_ADDRESS_SECRET", "PERENNIAL_PUBLIC_URL", *more]
    assert re.findall(r"PERENNIAL_[A-Z_]+", told.stderr.strip().splitlines()[-1]) == refused


@pytest.mark.parametrize(("name", "by"), [("api", "--port"), ("worker", "PERENNIAL_WORKER_PORT")])
def test_a_port_that_is_taken_is_said(
    name: str, by: str, perennial: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PERENNIAL_WORKER_PORT", str(port))
        monkeypatch.setitem(WORDS, "api", ["--port", str(port)])
        told = perennial(name)
        in_a_sentence(told, f"127.0.0.1:{port} cannot be listened on (Address already in use): look at ")
        assert by in told.stderr.splitlines()[-1]
        if name == "api":
            monkeypatch.setitem(WORDS, "api", ["--port", "0"])
            monkeypatch.setenv("PERENNIAL_OPERATIONS_PORT", str(port))
            in_a_sentence(perennial(name), "PERENNIAL_OPERATIONS_PORT")


@pytest.mark.parametrize("name", ["key list", "breakers list", "consents"])
def test_a_database_without_tables_is_led_to_migrate(
    name: str, perennial: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_postgres_url)
    in_a_sentence(perennial(name), "perennial migrate")


def test_a_temporal_that_is_away_is_named_with_its_reason(
    perennial: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "127.0.0.1:1: Connection refused" in perennial("limits list").stderr
    monkeypatch.setenv("TEMPORAL_PROFILE", "nosuch")
    in_a_sentence(perennial("limits list"), "Profile 'nosuch' not found")


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    for fault in (RuntimeError("no"), ValueError("no"), KeyError("no"), AssertionError()):
        assert sentence(fault) is None
