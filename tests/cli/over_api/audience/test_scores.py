"""`perennial scores`: who has or would have which grade, and why, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database
from tests.api.client import Api
from tests.cli.over_api.conftest import Command

LEAD = """score: lead
fit:
  - {id: team, when: contact.attributes.plan == "team", points: 20}
behaviour:
  - {id: seen, event: page.viewed, points: 5, half_life: 14d}
grades: {cold: , warm: 20}
"""


@pytest.fixture
async def file(served: Api, tmp_path: Path) -> Path:
    """A score's file; Ann would be warm, and Bob cold."""
    for who, plan in (("ann", "team"), ("bob", "free")):
        await served.contact(who, attributes={"plan": plan})
    path = tmp_path / "lead.yaml"
    path.write_text(LEAD)
    return path


async def fill(db: Database) -> None:
    while await SegmentUpkeep(db).fill():
        pass


async def test_it_says_who_would_change_grade_and_why(perennial: Command, file: Path) -> None:
    told = await perennial("scores", "preview", str(file), "--contact", "ann")
    assert told.exit_code == 0, told.output
    assert told.output.startswith("lead: 2 contacts evaluated.\ncold: 1, warm: 1\n")
    assert "(none)" in told.output
    assert "ann would have 20.00 points (fit 20.00, behaviour 0.00) and the grade warm:" in told.output
    as_json = json.loads((await perennial("scores", "preview", str(file), "--json")).output)
    assert as_json["grades"] == {"cold": 1, "warm": 1}


async def test_what_is_wrong_is_told_with_its_line(perennial: Command, file: Path) -> None:
    file.write_text(LEAD.replace("points: 20}", "points: 0}"))
    told = await perennial("scores", "preview", str(file))
    assert told.exit_code == 1 and f"{file}:3: " in told.output


async def test_a_published_score_is_listed_shown_explained_and_checked(
    perennial: Command, file: Path, db: Database
) -> None:
    told = await perennial("publish", str(file.parent))
    assert told.exit_code == 0 and "score lead version 1 (new)" in told.output
    assert "no version is live; version 1: filling" in (await perennial("scores", "show", "lead")).output
    await fill(db)
    assert "version 1 is live (cold: 1, warm: 1); version 1: live" in (await perennial("scores", "show", "lead")).output
    assert (await perennial("scores", "list")).output.split()[-3:] == ["lead", "1", "1"]
    listed = (await perennial("scores", "contacts", "lead", "--grade", "warm")).output
    assert "ann" in listed and "20.00" in listed and "bob" not in listed
    assert (await perennial("scores", "why", "lead", "bob")).output.startswith("bob has 0.00 points")
    told = await perennial("scores", "check", "lead")
    assert (told.exit_code, told.output) == (0, "lead: 2 contacts compared, 0 about to change, 0 differ.\n")
    told = await perennial("scores", "steer", "pause", "lead", "1")
    assert told.exit_code == 1 and "is not being filled" in told.output


async def test_a_wrong_grade_makes_the_check_fail(perennial: Command, file: Path, db: Database) -> None:
    await perennial("publish", str(file.parent))
    await fill(db)
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE score_value SET grade = 'cold'"))
    told = await perennial("scores", "check", "lead")
    assert told.exit_code == 1 and "ann is stored with 20.00 (cold) and should have 20.00 (warm)" in told.output


async def test_contacts_are_exported_counted_by_day_and_compared_with_sales(
    perennial: Command, file: Path, db: Database
) -> None:
    await perennial("publish", str(file.parent))
    refused = await perennial("scores", "export", "lead")
    assert refused.exit_code == 1 and "still being filled" in refused.output
    await fill(db)
    rows = (await perennial("scores", "export", "lead")).output.splitlines()
    assert rows[0] == "contact_id,value,grade,since,changes_at"
    assert [row.split(",")[:3] for row in rows[1:]] == [["ann", "20.0", "warm"], ["bob", "0.0", "cold"]]
    lines = (await perennial("scores", "export", "lead", "--grade", "warm", "--format", "jsonl")).output.splitlines()
    assert [json.loads(line)["contact_id"] for line in lines] == ["ann"]
    assert "was not counted yet" in (await perennial("scores", "sizes", "lead")).output
    await SegmentUpkeep(db).note_sizes()
    counted = (await perennial("scores", "sizes", "lead")).output.splitlines()
    assert [line.split()[1:] for line in counted[-2:]] == [["cold", "1", "0", "0"], ["warm", "1", "0", "0"]]
    compared = await perennial("scores", "quality", "lead")
    assert compared.output == (await perennial("handoffs", "quality", "lead")).output
    assert "No lead was handed over with a score 'lead'." in compared.output
