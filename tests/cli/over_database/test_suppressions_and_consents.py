"""`perennial suppress`, `unsuppress` and `consents`, as operators type them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from settings import get_settings
from store.engine.database import Database
from store.people import contacts
from store.people.consents import preferences
from store.people.consents.consents import Change
from store.published import policies
from tracks.policy.workspace_policy import parse_policy

Run = Callable[..., Result]


@pytest.fixture
def run(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command against this test's database."""
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    get_settings.cache_clear()

    def typed(*words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, words, input=given)

    yield typed
    get_settings.cache_clear()


def test_an_old_suppression_list_is_imported_and_addresses_are_allowed_again(run: Run, tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_text("\ufeff# exported\nada@example.com\n\nADA@example.com\n+41 44 668 18 00\n", encoding="utf-8")
    first = run("suppress", "--file", str(old), "bob@example.com", "--reason", "bounced")
    assert (first.exit_code, first.stdout.partition(";")[0]) == (0, "3 of 4 suppressed")
    again = run("suppress", "bob@example.com")
    assert again.stdout.startswith("0 of 1 suppressed")
    assert run("unsuppress", "--file", "-", given="ada@example.com\neve@example.com").stdout.startswith("1 of 2")


def test_a_list_that_cannot_be_read_changes_nothing(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("ada@example.com\nname,address\n12345\n")
    refused = run("suppress", "--file", str(bad))
    assert refused.exit_code == 1
    assert "line 2, line 3. Nothing was changed." in refused.stderr
    assert run("unsuppress", "ada@example.com").stdout.startswith("0 of 1")
    assert run("suppress").exit_code == 1
    assert "is no reason" in run("suppress", "ada@example.com", "--reason", "tired").stderr


def test_consents_are_shown_with_their_proof(run: Run, postgres_url: str) -> None:
    async def set_up() -> None:
        database = Database(postgres_url, 1)
        async with database.transaction() as tx:
            await contacts.upsert(tx, "user-1", {"email": "ada@example.com"})
            said = [Change("email", "tips", "granted", "form", "v3"), Change("email", "", "withdrawn", "page")]
            await preferences.tell(tx, "user-1", said)
        await database.close()

    asyncio.run(set_up())
    shown = run("consents", "user-1").stdout
    assert "email  suppressed: unsubscribed since " in shown
    assert "sms    no address" in shown
    assert shown.count("form v3") == 2
    assert "ada@example.com" not in shown
    assert run("consents", "nobody").exit_code == 1


def test_without_the_yes_that_the_policy_wants_nothing_is_open(run: Run, postgres_url: str) -> None:
    async def set_up() -> None:
        database = Database(postgres_url, 1)
        async with database.transaction() as tx:
            topics = "topics: {tips: {name: Tips}, letter: {name: Letter, opt_in: double}}"
            source = f"{topics}\nchannels: {{sms: {{opt_in: explicit}}}}"
            await policies.publish(tx, parse_policy(source, "policy.yaml"), source)
            await contacts.upsert(tx, "user-1", {"email": "ada@example.com", "phone": "+41446681800"})
            await preferences.tell(tx, "user-1", [Change("sms", "tips", "granted", "form", "v3")])
        await database.close()

    asyncio.run(set_up())
    lines = [line.strip() for line in run("consents", "user-1").stdout.partition("Holds")[0].split("\n") if line]
    assert lines == [
        "email  open",
        "letter: no consent: letter needs a yes",
        "sms    no consent: sms needs a yes",
        "tips: open",
        "letter: no consent: letter needs a yes",
    ]
    answer = json.loads(run("consents", "user-1", "--json").stdout)
    assert answer["channels"]["sms"]["refused"] == "no consent: sms needs a yes"
    assert answer["channels"]["sms"]["topics"] == {"tips": "", "letter": "no consent: letter needs a yes"}
