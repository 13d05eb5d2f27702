"""What commands print: escaped texts, tables with headings, JSON on request, and plain help."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import re
import shlex
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner, Result

import cli
from cli.main import app
from cli.over_api.preview_shown import show
from cli.shared.printing import printable
from settings import get_settings
from store.engine.database import Database
from store.operations import api_keys
from store.sending.policy import breakers
from tests.conftest import DevServer

EVIL = "\x1b]0;title\x07 wrong \u202eprice\r\nnext"
Command = Callable[..., Result]


@pytest.fixture
def perennial(monkeypatch: pytest.MonkeyPatch, tmp_path: object, postgres_url: str) -> Command:
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    def run(*words: str) -> Result:
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, words)
        finally:
            get_settings.cache_clear()

    return run


def in_database(url: str, work: Callable[[Any], Awaitable[Any]]) -> None:
    async def run() -> None:
        database = Database(url, 1)
        try:
            async with database.transaction() as tx:
                await work(tx)
        finally:
            await database.close()

    asyncio.run(run())


@given(st.text(st.characters()))
def test_no_text_drives_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not [one for one in shown if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [one for one in shown if unicodedata.bidirectional(one) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI")]
    assert not [one for one in shown if unicodedata.bidirectional(one) in ("RLI", "FSI", "PDI")]
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["Grüße, 你好, مرحبا, 👩\u200d🔬", "50 % \\ [bold]"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_breakers_reason_and_a_keys_name_are_printed_harmlessly(perennial: Command, postgres_url: str) -> None:
    async def put(tx: Any) -> None:
        await breakers.trip(tx, "account:sms", "operator", EVIL)
        await api_keys.create(tx, EVIL)

    in_database(postgres_url, put)
    for words in (("breakers", "list"), ("key", "list"), ("breakers", "resume", "account:sms")):
        told = perennial(*words)
        assert told.exit_code == 0 and r"\x1b]0;title\x07 wrong \u202eprice\r\nnext" in told.stdout
        assert not set(told.stdout) & set("\x1b\x07\r\u202e")
        as_json = perennial(*words, "--json") if words[1] == "list" else None
        if as_json is not None:
            assert as_json.stdout.isascii() and "\x1b" not in as_json.stdout
            assert EVIL in json.loads(as_json.stdout)[0].values()
    refused = perennial("consents", EVIL)
    assert refused.exit_code == 1 and not set(refused.stderr) & set("\x1b\x07\r\u202e")


def test_only_one_place_prints() -> None:
    """Texts of others are printed only by `cli.shared.printing`, except JSON and our own texts."""
    ours = {"printing.py", "error_sentences.py", "common.py", "bench.py", "main.py"}
    for file in Path(cli.__file__).parent.rglob("*.py"):
        if file.name in ours:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "print"):
                assert ast.unparse(node.args[0]) in ("", "''", "schema_text()", "_as_csv(found)"), (
                    f"{file.name}:{node.lineno}"
                )


def test_a_preview_is_printed_harmlessly() -> None:
    shown = {
        "kind": "email",
        "subject": EVIL,
        "locale": EVIL,
        "text": f"Hello\n[bold]{EVIL}",
        "blocks": [{"block": EVIL, "chosen": EVIL, "passed": {EVIL: "type"}}],
        "warnings": [EVIL],
    }
    out = io.StringIO()
    show(Console(file=out, width=400), shown)
    assert not set(out.getvalue()) & set("\x1b\x07\r\u202e")
    assert out.getvalue().count(r"\x1b]0;title\x07 wrong \u202eprice") == 7
    assert "Hello\n[bold]" in out.getvalue()


def test_lists_have_heads_and_a_sentence_where_they_are_empty(perennial: Command) -> None:
    assert perennial("key", "list").stdout == "There is no key: make one with `key create NAME`.\n"
    assert json.loads(perennial("key", "list", "--json").stdout) == []
    assert json.loads(perennial("breakers", "list", "--json").stdout) == []
    perennial("key", "create", "backend")
    head, row = perennial("key", "list").stdout.splitlines()
    assert head.split() == ["id", "name", "made", "(UTC)", "state"] and head.index("name") == row.index("backend")
    (listed,) = json.loads(perennial("key", "list", "--json").stdout)
    assert listed["name"] == "backend" and listed["revoked_at"] is None
    assert listed["id"] in row and not row.startswith(" ")


async def test_limits_are_listed_as_json(
    perennial: Command, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in dev_server.environment.items():
        monkeypatch.setenv(variable, value)
    told = await asyncio.to_thread(perennial, "limits", "list", "--json")
    assert [one["queue"] for one in json.loads(told.stdout)] == ["email", "sms", "crm", "webhook"], told.stderr


def test_what_is_no_scope_is_told_what_a_scope_is(perennial: Command) -> None:
    for words in (("resume", "win-back"), ("hold", "win-back", "--reason", "x")):
        told = perennial("breakers", *words)
        assert told.exit_code == 1 and "track:NAME" in told.stderr


def every(command: Any, *name: str) -> Iterator[tuple[str, ...]]:
    yield name
    for word, one in getattr(command, "commands", {}).items():
        yield from every(one, *name, word)


COMMAND = get_command(app)


@pytest.mark.parametrize("name", list(every(COMMAND)), ids=" ".join)
def test_help_is_in_plain_words(name: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    for leak in ("list[", "FileText", "<str>", "<float", "<bool>", "{"):
        assert leak not in told.output
    prose = re.sub(r"\benrollments\b|(?i:enrollment_id)", "", told.output)  # the command's name, as the API has it
    assert not re.search(r"\benrolls?\b|\benrollment", prose, re.IGNORECASE)  # spelled `enrol` in all of our prose
    if name:  # each help says to which service the command connects
        assert re.search(r"DATABASE_URL|TEMPORAL_ADDRESS|API \(--url, --key\)|Asks nobody|none of yours", told.output)


def leaves() -> list[tuple[tuple[str, ...], Any]]:
    """All commands that are not groups, by name."""
    found = []
    for name in every(COMMAND):
        command: Any = COMMAND
        for word in name:
            command = command.commands[word]
        if not hasattr(command, "commands"):
            found.append((name, command))
    return found


@pytest.mark.parametrize(("name", "command"), leaves(), ids=lambda one: " ".join(one) if isinstance(one, tuple) else "")
def test_who_needs_arguments_shows_an_example_that_can_be_typed(
    name: tuple[str, ...], command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contacts.csv").touch()
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "churn-risk.yaml").touch()
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "lead.yaml").touch()
    (tmp_path / "tracks" / "library").mkdir(parents=True)
    (tmp_path / "tracks" / "birthday.yaml").touch()
    examples = re.findall(r"Example: perennial (.+)", command.help or "")
    by_id = name[0] == "imports"  # docs/operations/imports.md shows all of these
    assert examples or by_id or not any(one.required for one in command.params), name
    for example in examples:
        words = shlex.split(example)
        assert tuple(words[: len(name)]) == name
        command.make_context(name[-1], words[len(name) :])


@pytest.mark.parametrize(("name", "command"), leaves(), ids=lambda one: " ".join(one) if isinstance(one, tuple) else "")
def test_every_argument_and_option_is_described(name: tuple[str, ...], command: Any) -> None:
    assert [one.name for one in command.params if not one.help] == []


def test_version_and_completion() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("perennial ")
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).stdout
