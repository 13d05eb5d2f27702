"""`perennial segments preview`: who would be a member, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.over_api.segments import told_in_words
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
    told = {"segment": "s", "contacts": 90_000, "evaluated": 2_000, "members": 500, "not_judged": 3, "sample": []}
    assert told_in_words(told | {"estimate": [20_900, 24_300]}) == [
        "s: 20,900 to 24,300 of 90,000 contacts would be members (500 of 2,000 drawn at random are).",
        "3 have too many events or too much data to be judged.",
    ]
