"""Commands that list and show, as an operator or a support engineer types them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from cli.over_api.lists import moment
from store.engine.database import Database
from tests.api.client import Api
from tests.api.messages import EMAIL, another_day, sending
from tests.cli.over_api.conftest import Command


async def test_contacts_are_found_and_printed_for_people_machines_and_spreadsheets(
    served: Api, perennial: Command
) -> None:
    await served.contact("user-1", email="ada@example.com", phone="+41446681800", attributes={"note": "=1+1"})
    await served.contact("user-2", email="bob@example.com")
    shown = await perennial("contacts", "list")
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["id", "user-1", "user-2"]
    as_json = await perennial("contacts", "list", "--email", "ADA@example.com", "--json")
    assert [one["id"] for one in json.loads(as_json.stdout)] == ["user-1"]
    [row] = csv.DictReader(io.StringIO((await perennial("contacts", "list", "--id-prefix", "user-1", "--csv")).stdout))
    assert (row["email"], row["locale"], json.loads(row["attributes"])) == ("ada@example.com", "", {"note": "=1+1"})
    assert row["phone"] == "+41446681800"
    nobody = await perennial("contacts", "list", "--attribute", "plan:team")
    assert (nobody.exit_code, nobody.stdout) == (0, "No contact matches.\n")


async def test_more_than_a_page_is_fetched_and_what_is_left_out_is_said(served: Api, perennial: Command) -> None:
    items = [{"id": f"c{number:03}"} for number in range(250)]
    await served.call("POST", "/v1/contacts/batch", json={"contacts": items})
    most = await perennial("contacts", "list", "--limit", "230", "--json")
    assert [one["id"] for one in json.loads(most.stdout)] == [one["id"] for one in items[:230]]
    assert most.stderr == "There are more than 230: ask for more with --limit.\n"
    everything = await perennial("contacts", "list", "--limit", "1000", "--json")
    assert (len(json.loads(everything.stdout)), everything.stderr) == (250, "")


async def test_a_contact_is_shown_with_where_they_are_and_what_they_got(
    served: Api, perennial: Command, db: Database
) -> None:
    await sending(served, db, "email")
    await served.event("user-1", "page.viewed", properties={"path": "/\x1b[2J"})
    for who in ("user-1", EMAIL):
        shown = await perennial("show", who)
        assert shown.exit_code == 0, shown.output
        assert "welcome  active  hello" in shown.stdout
        assert "page.viewed" in shown.stdout
        assert "\x1b" not in shown.stdout
        assert "hello  email    sending" in shown.stdout
    known = json.loads((await perennial("show", "user-1", "--json")).stdout)
    assert [one["name"] for one in known["events"]] == ["page.viewed"]
    nobody = await perennial("show", "nobody@example.com")
    assert (nobody.exit_code, nobody.stderr) == (1, "No contact has the address nobody@example.com.\n")
    assert (await perennial("show", "user-9")).stderr == "There is no contact user-9.\n"


async def test_runs_messages_events_and_tracks_are_listed_and_shown(
    served: Api, perennial: Command, db: Database
) -> None:
    sent = await sending(served, db, "email")
    await another_day(db)
    await served.event("user-1", "order.paid")
    [run] = (await served.get("/v1/enrollments")).json()["enrollments"]
    for words, found in (
        (("enrollments", "list", "--track", "welcome", "--contact", "user-1"), run["id"]),
        (("enrollments", "show", run["id"]), "welcome"),
        (("messages", "list", "--status", "sending", "--since", "1h"), sent),
        (("messages", "show", sent), run["id"]),
        (("events", "list", "--name", "order.paid", "--since", "2h"), "order.paid"),
        (("tracks", "list"), "welcome"),
        (("tracks", "show", "welcome"), "wait_for: {event: email.clicked"),
    ):
        shown = await perennial(*words)
        assert shown.exit_code == 0, shown.output
        assert found in shown.stdout, words
        assert json.loads((await perennial(*words, "--json")).stdout)
    ended = await perennial("enrollments", "end", run["id"], "--reason", "asked-by-phone")
    assert (ended.exit_code, ended.stdout) == (0, "The run ends.\n")
    away = await perennial("enrollments", "skip-wait", run["id"])
    assert away.exit_code == 1
    assert "The run was not reached" in away.stderr


async def test_a_message_to_somebody_else_is_listed_as_such(served: Api, perennial: Command, db: Database) -> None:
    await sending(served, db, "email")
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE message SET recipient = 'attribute owner_email'"))
    assert "email to attribute owner_email" in " ".join((await perennial("messages", "list")).stdout.split())


@pytest.mark.parametrize(
    "words",
    [
        ("messages", "list", "--status", "asleep", "--track", "No Such"),
        ("messages", "list", "--template-version", "3"),
        ("events", "list", "--since", "yesterday"),
        ("contacts", "list", "--csv", "--json"),
        ("enrollments", "show", "nothing"),
    ],
)
async def test_what_cannot_be_asked_ends_with_a_sentence(perennial: Command, words: tuple[str, ...]) -> None:
    answer = await perennial(*words)
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.strip()
    assert "Traceback" not in answer.stderr


def test_a_span_is_so_long_ago() -> None:
    written = moment("2h")
    assert written is not None
    assert abs(datetime.now(UTC) - timedelta(hours=2) - datetime.fromisoformat(written)) < timedelta(minutes=1)
    assert moment("2026-11-21T12:00:00Z") == "2026-11-21T12:00:00Z"
    assert moment(None) is None


async def test_contacts_are_merged_listed_and_parted(served: Api, perennial: Command) -> None:
    await served.contact("user-1")
    await served.contact("anon-7", email="ada@example.com")
    done = await perennial("contacts", "merge", "user-1", "anon-7")
    said = done.stdout.splitlines()[0] if done.stdout else ""
    assert (done.exit_code, said.partition(".")[0]) == (0, "anon-7 stands for user-1 from now on"), done.output
    assert done.stdout.splitlines()[1:] == ["moved   nothing", "filled  email", "ended   no run"]
    again = await perennial("contacts", "merge", "user-1", "anon-7")
    assert again.stdout == "anon-7 stands for user-1 already.\n"
    listed = await perennial("contacts", "merges", "anon-7")
    assert [line.split()[2:5] for line in listed.stdout.splitlines()[1:]] == [["anon-7", "user-1", "cli"]]
    parted = await perennial("contacts", "unmerge", "user-1", "anon-7")
    assert parted.stdout == "anon-7 is a contact again: given back nothing.\n"
    assert (await perennial("contacts", "unmerge", "user-1", "anon-7")).exit_code == 1
