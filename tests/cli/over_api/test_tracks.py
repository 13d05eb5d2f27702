"""`perennial tracks preview`: when dates come and who is left alone, for people and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database
from tests.api.client import Api
from tests.cli.over_api.conftest import Command

TRACK = """track: reminder
entry: [{event: contract.signed}, {date: {attribute: renews_on, offset: -7d}}]
unless: [{did_not: app.used, within: 90d}]
steps: [{id: settle, wait: 1d}]
"""


@pytest.fixture
async def file(served: Api, tmp_path: Path) -> Path:
    """A track's file; the date comes for Ann within the month, and has passed for Bob."""
    for who, days in (("ann", 20), ("bob", 2)):
        day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
        await served.contact(who, attributes={"renews_on": day})
    path = tmp_path / "reminder.yaml"
    path.write_text(TRACK)
    return path


async def test_it_says_when_dates_come_and_whom_the_rule_leaves_alone(perennial: Command, file: Path) -> None:
    told = await perennial("tracks", "preview", str(file))
    assert told.exit_code == 0, told.output
    first, event, date, ann, rule = told.output.splitlines()
    assert first == "reminder, over 2 contacts:"
    assert event == "  contract.signed: enters by the event contract.signed."
    assert date == "  renews_on: comes for 1, for 1 of them within 30 days."
    assert ann.startswith("    ann at ")
    assert rule == '  the track\'s rule "did_not app.used within 90d" leaves 2 alone now.'


async def test_as_json_it_is_the_answer_of_the_api(perennial: Command, file: Path) -> None:
    told = json.loads((await perennial("tracks", "preview", str(file), "--json")).output)
    assert (told["track"], told["entries"][1]["dated"]) == ("reminder", 1)


async def test_a_published_track_shows_how_far_contacts_are_registered(
    perennial: Command, file: Path, db: Database
) -> None:
    await perennial("publish", str(file.parent))
    told = (await perennial("tracks", "show", "reminder")).output
    assert "Entry renews_on, by the date renews_on: 0 of about " in told
    while await SegmentUpkeep(db).fill():
        pass
    told = (await perennial("tracks", "show", "reminder")).output
    assert "by the date renews_on: all contacts are registered." in told


async def test_what_is_wrong_is_told_with_its_line(perennial: Command, file: Path) -> None:
    file.write_text(TRACK.replace("within", "withn").replace("attribute: ", "atribute: "))
    told = await perennial("tracks", "preview", str(file))
    assert told.exit_code == 1
    assert f"{file}:2: " in told.output and f"{file}:3: unknown key 'withn'" in told.output
