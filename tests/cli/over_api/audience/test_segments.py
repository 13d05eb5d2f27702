"""`perennial segments`: who is or would be a member, and why, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from api.audience.segment_upkeep import SegmentUpkeep
from cli.over_api.audience.segments import told_in_words
from store.engine.database import Database
from tests.api.client import Api
from tests.cli.over_api.conftest import Command

RISK = """segment: quiet
members:
  all:
    - contact.attributes.plan == "team"
    - {did_not: app.used, within: 14d}
"""


@pytest.fixture
async def file(served: Api, tmp_path: Path) -> Path:
    """A segment's file; Ann would be a member, and Bob would not."""
    for who, plan in (("ann", "team"), ("bob", "free")):
        await served.contact(who, attributes={"plan": plan})
    path = tmp_path / "quiet.yaml"
    path.write_text(RISK)
    return path


async def test_it_says_how_many_would_be_members_and_why_one_would(perennial: Command, file: Path) -> None:
    told = await perennial("segments", "preview", str(file), "--contact", "ann")
    assert told.exit_code == 0, told.output
    assert told.output.startswith("quiet: 1 of 2 contacts would be members.\nSome of them: ann\n")
    assert "ann would be a member:" in told.output
    assert "did_not: app.used, within: 14d" in told.output
    told = await perennial("segments", "preview", str(file), "--contact", "bob")
    assert "bob would not be a member:" in told.output


async def test_as_json_it_is_the_answer_of_the_api(perennial: Command, file: Path) -> None:
    told = json.loads((await perennial("segments", "preview", str(file), "--json")).output)
    assert (told["segment"], told["members"], told["sample"], told["contact"]) == ("quiet", 1, ["ann"], None)


async def test_what_is_wrong_is_told_with_its_line(perennial: Command, file: Path) -> None:
    file.write_text("segment: quiet\nmembers:\n  any:\n    - {dit: a}\n    - contact.x\n")
    told = await perennial("segments", "preview", str(file))
    assert told.exit_code == 1
    assert f"{file}:4: unknown key 'dit'" in told.output and f"{file}:5: " in told.output
    file.write_text(RISK)
    told = await perennial("segments", "preview", str(file), "--contact", "nobody")
    assert told.exit_code == 1 and "nobody" in told.output


def test_of_a_sample_it_says_the_range_and_who_could_not_be_judged() -> None:
    told = {"segment": "s", "contacts": 90_000, "evaluated": 2_000, "members": 500, "not_judged": 3}
    told |= {"sample": [], "entering": 7, "leaving": 0}
    assert told_in_words(told | {"estimate": [20_900, 24_300]}) == [
        "s: 20,900 to 24,300 of 90,000 contacts would be members (500 of 2,000 drawn at random are).",
        "3 have too many events or too much data to be judged.",
        "Against the live version, 7 of them enter and 0 leave.",
    ]


async def test_a_published_segment_is_listed_shown_explained_and_checked(
    perennial: Command, file: Path, db: Database
) -> None:
    told = await perennial("publish", str(file.parent))
    assert told.exit_code == 0 and "segment quiet version 1 (new)" in told.output
    assert "no version is live; version 1: filling" in (await perennial("segments", "show", "quiet")).output
    while await SegmentUpkeep(db).fill():
        pass
    assert "version 1 is live with 1 members; version 1: live" in (await perennial("segments", "show", "quiet")).output
    assert (await perennial("segments", "list")).output.split()[-3:] == ["quiet", "1", "1"]
    assert "ann" in (await perennial("segments", "members", "quiet")).output
    assert (await perennial("segments", "why", "quiet", "bob")).output.startswith("bob is not a member:")
    told = await perennial("segments", "check", "quiet")
    assert (told.exit_code, told.output) == (0, "quiet: 2 contacts compared, 0 about to change, 0 differ.\n")
    told = await perennial("segments", "steer", "pause", "quiet", "1")
    assert told.exit_code == 1 and "is not being filled" in told.output


async def test_a_wrong_membership_makes_the_check_fail(perennial: Command, file: Path, db: Database) -> None:
    await perennial("publish", str(file.parent))
    while await SegmentUpkeep(db).fill():
        pass
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE membership SET member = false"))
    told = await perennial("segments", "check", "quiet")
    assert told.exit_code == 1 and "ann is stored as none and should be a member" in told.output


async def test_webhooks_are_set_listed_paused_resumed_and_deleted(perennial: Command, served: Api, file: Path) -> None:
    await served.call("PUT", "/v1/segments/quiet", content=RISK.encode(), headers={"content-type": "application/yaml"})
    address = "http://hooks.acme.test/quiet"
    made = await perennial("segments", "webhooks", "set", "quiet", "ads", address, "--field", "email_sha256")
    assert made.exit_code == 0 and "Secret (shown this once): whsec_" in made.output, made.output
    assert "by hand" not in (listed := (await perennial("segments", "webhooks", "list", "quiet")).output)
    assert address in listed and "sending" in listed
    assert "paused since" in (await perennial("segments", "webhooks", "pause", "quiet", "ads")).output
    (one,) = json.loads((await perennial("segments", "webhooks", "list", "quiet", "--json")).output)
    assert (one["paused"], one["fields"]) == ("by hand", ["email_sha256"])
    assert "sending" in (await perennial("segments", "webhooks", "resume", "quiet", "ads")).output
    assert (await perennial("segments", "webhooks", "send-all", "quiet", "ads")).exit_code == 0
    assert (await perennial("segments", "webhooks", "delete", "quiet", "ads")).exit_code == 0
    gone = await perennial("segments", "webhooks", "pause", "quiet", "ads")
    assert gone.exit_code == 1 and "There is no webhook ads of segment quiet" in gone.output
