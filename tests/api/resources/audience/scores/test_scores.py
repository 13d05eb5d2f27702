"""Scores through the API: published, filled, previewed, listed by grade, explained, checked; and named by tracks."""

from __future__ import annotations

import json
from math import fsum
from typing import Any

import pytest
from sqlalchemy import text

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database
from tests.api.client import Api

YAML = {"content-type": "application/yaml"}
LEAD = """score: lead
fit:
  - {id: team, when: contact.attributes.plan == "team", points: 20}
behaviour:
  - {id: pricing, event: page.viewed, where: event.properties.path == "/pricing", points: 15, half_life: 14d}
  - {id: seen, event: page.viewed, points: 1, within: 7d, cap: {most: 2}}
grades: {cold: , warm: 20, hot: 45}
"""


async def put(api: Api, source: str, name: str = "lead", **params: Any) -> Any:
    return await api.call("PUT", f"/v1/scores/{name}", content=source.encode(), headers=YAML, params=params)


async def fill(db: Database) -> None:
    while await SegmentUpkeep(db).fill():
        pass


async def view(api: Api, number: int, who: str = "ann") -> None:
    body = {
        "event_id": f"{who}-{number}",
        "contact_id": who,
        "name": "page.viewed",
        "properties": {"path": "/pricing"},
    }
    assert (await api.call("POST", "/v1/events", json=body)).status_code == 202


async def read(api: Api, path: str, **params: Any) -> Any:
    answer = await api.call("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def lead(api: Api, db: Database) -> Api:
    """Ann is warm by who she is; Bob is cold."""
    await api.contact("ann", attributes={"plan": "team"})
    await api.contact("bob", attributes={"plan": "free"})
    assert (await put(api, LEAD)).status_code == 201
    await fill(db)
    return api


async def test_it_is_published_once_and_shows_how_far_it_is(api: Api, db: Database) -> None:
    await api.contact("ann", attributes={"plan": "team"})
    assert (await put(api, LEAD)).json() == {"score": "lead", "version": 1, "created": True}
    again = await put(api, LEAD)
    assert (again.status_code, again.json()["created"]) == (200, False)
    shown = await read(api, "/v1/scores/lead")
    assert (shown["live"], shown["grades"], shown["filling"]["state"]) == (None, {}, "filling")
    early = await api.call("GET", "/v1/scores/lead/contacts")
    assert early.status_code == 409 and early.json()["type"].endswith("score-not-live")
    await fill(db)
    shown = await read(api, "/v1/scores/lead")
    assert (shown["live"], shown["source"]) == (1, LEAD)
    assert list(shown["grades"].items()) == [("cold", 0), ("warm", 1), ("hot", 0)]
    assert (shown["filling"]["state"], shown["filling"]["evaluated"]) == ("live", 1)
    assert (await read(api, "/v1/scores"))["scores"] == [{"score": "lead", "version": 1, "live": 1}]
    assert [one["version"] for one in (await read(api, "/v1/scores/lead/versions"))["versions"]] == [1]


async def test_all_that_is_wrong_is_told_at_once_with_its_line(api: Api) -> None:
    answer = await put(api, "score: lead\nfit:\n  - {id: a, when: now > 3, points: 0}\ngrades: {cold: , warm: x}\n")
    assert answer.status_code == 422
    assert {one["line"] for one in answer.json()["errors"]} == {3, 4}


async def test_the_explanation_sums_to_the_score(lead: Api) -> None:
    for number in range(3):
        await view(lead, number)
    told = await read(lead, "/v1/scores/lead/contacts/ann")
    assert told["grade"] == "hot" and told["judged"] is True
    assert told["value"] == fsum(rule["points"] for rule in told["rules"]) == told["fit"] + told["behaviour"]
    assert [(rule["rule"], rule["count"], rule["left_out"]) for rule in told["rules"]] == [
        ("team", None, {}),
        ("pricing", 3, {}),
        ("seen", 2, {"cap": 1}),
    ]
    assert told["rules"][1]["events"] == ["ann-0", "ann-1", "ann-2"]
    assert (await read(lead, "/v1/contacts/ann"))["scores"]["lead"]["grade"] == "hot"


async def test_contacts_are_listed_by_grade(lead: Api) -> None:
    found = await read(lead, "/v1/scores/lead/contacts", grade="warm")
    assert [(one["contact_id"], one["value"], one["grade"]) for one in found["contacts"]] == [("ann", 20.0, "warm")]
    page = await read(lead, "/v1/scores/lead/contacts", limit=1)
    assert [one["contact_id"] for one in page["contacts"]] == ["ann"]
    page = await read(lead, "/v1/scores/lead/contacts", limit=1, cursor=page["next"])
    assert ([one["contact_id"] for one in page["contacts"]], page["next"]) == (["bob"], None)
    unknown = await lead.call("GET", "/v1/scores/lead/contacts", params={"grade": "boiling"})
    assert unknown.status_code == 422


async def test_a_preview_tells_who_changes_grade_and_keeps_nothing(lead: Api) -> None:
    source = LEAD.replace("points: 20", "points: 50")
    answer = await lead.call("POST", "/v1/scores/preview", json={"source": source, "contact_id": "ann"})
    told = answer.json()
    assert (told["contacts"], told["evaluated"], told["not_judged"]) == (2, 2, 0)
    assert told["grades"] == {"cold": 1, "warm": 0, "hot": 1}
    assert told["moves"] == [{"before": "warm", "after": "hot", "contacts": 1, "sample": ["ann"]}]
    assert (told["contact"]["grade"], told["contact"]["value"]) == ("hot", 50.0)
    assert (await read(lead, "/v1/scores/lead"))["version"] == 1


async def test_the_check_finds_a_score_that_the_facts_deny(lead: Api, db: Database) -> None:
    assert (await read(lead, "/v1/scores/lead/check"))["differences"] == []
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE score_value SET grade = 'hot' WHERE contact_id = 'bob'"))
    found = await read(lead, "/v1/scores/lead/check")
    assert found["contacts"] == 2
    assert [(one["contact_id"], one["stored_grade"], one["evaluated_grade"]) for one in found["differences"]] == [
        ("bob", "hot", "cold")
    ]


async def test_a_filling_can_be_steered(lead: Api, db: Database) -> None:
    await put(lead, LEAD.replace("points: 20", "points: 50"), existing="tell")
    paused = await lead.call("POST", "/v1/scores/lead/versions/2/pause")
    assert paused.json() == {"score": "lead", "version": 2, "done": True}
    await fill(db)
    assert (await read(lead, "/v1/scores/lead"))["live"] == 1
    await lead.call("POST", "/v1/scores/lead/versions/2/resume")
    await fill(db)
    assert (await read(lead, "/v1/scores/lead"))["live"] == 2
    assert (await lead.call("POST", "/v1/scores/lead/versions/9/cancel")).status_code == 404
    history = await read(lead, "/v1/events", contact_id="ann", name="score.graded")
    assert [one["properties"] for one in history["events"]] == [
        {"score": "lead", "version": 2, "from": "warm", "to": "hot", "reached": ["hot"], "lost": []}
    ]


async def test_a_deploy_brings_scores_with_the_tracks_and_segments_that_name_them(api: Api) -> None:
    track = (
        "track: call\nentry: {score: lead, grade: hot}\n"
        "defaults: {email: {from: a@acme.test}}\n"
        "steps:\n  - id: ask\n    branch:\n      - when: contact.scores.lead.value > 50\n"
        "        steps: [{id: w, wait: 1d}]\n"
    )
    segment = "segment: hot-leads\nmembers: {score: lead, grade: [hot]}\n"
    body = {"tracks": {"call": track}, "segments": {"hot-leads": segment}, "dry_run": True}
    refused = await api.call("POST", "/v1/deploys", json=body)
    assert refused.status_code == 422
    assert sorted(one["detail"] for one in refused.json()["errors"]) == [
        "there is no score 'lead'; publish it before or in the same deploy",
        "there is no score 'lead'; publish it before or in the same deploy",
        "there is no score 'lead'; publish it before or in the same deploy",
    ]
    answer = await api.call("POST", "/v1/deploys", json=body | {"scores": {"lead": LEAD}, "existing_grades": "tell"})
    assert answer.status_code == 200, answer.text
    assert {(one["kind"], one["name"]) for one in answer.json()["documents"]} == {
        ("score", "lead"),
        ("segment", "hot-leads"),
        ("track", "call"),
    }


CALL = """track: call
reentry: always
entry:
  - {id: again-hot, score: lead, grade: warm, where: 'event.properties.from != "cold"'}
  - {score: lead, grade: warm}
exits: [{score: lead, below: warm}]
steps: [{id: think, wait: 30d}]
"""


async def test_a_track_is_entered_by_a_grade_or_one_above_and_left_below_it(api: Api, db: Database) -> None:
    await put(api, LEAD)
    await fill(db)
    assert (await api.publish(CALL)).status_code == 201
    await api.contact("eve", attributes={"plan": "free"})
    for number in range(4):  # 32 points, over warm, and then 47: hot
        assert len((await read(api, "/v1/enrollments", contact_id="eve"))["enrollments"]) == (number > 1)
        await view(api, number, "eve")
    (run,) = (await read(api, "/v1/enrollments", contact_id="eve"))["enrollments"]
    assert (run["track"], run["entry"]) == ("call", "lead")
    history = await read(api, "/v1/events", contact_id="eve", name="score.graded")
    assert [one["properties"]["reached"] for one in history["events"]] == [["hot"], ["warm"]]


async def test_grades_that_a_score_does_not_have_are_refused_with_those_that_it_has(lead: Api) -> None:
    wrong = CALL.replace("below: warm", "below: cold").replace("{score: lead, grade: warm}", "{score: lead, grade: ht}")
    answer = await lead.publish(wrong)
    assert answer.status_code == 422
    assert [(one["line"], one["detail"]) for one in answer.json()["errors"]] == [
        (5, "the score lead has no grade 'ht'; did you mean 'hot'?; it has cold, warm, hot"),
        (6, "'cold' is the lowest grade of lead, so nobody falls below it"),
    ]


async def test_tracks_that_begin_each_other_by_attributes_of_a_score_are_refused(lead: Api) -> None:
    def track(name: str, rule: str, plan: str) -> str:
        return f"track: {name}\nreentry: always\nentry: {{score: lead, {rule}}}\nsteps:\n  {plan}\n"

    give = track("give", "below: warm", "- {id: s, set: {attributes: {plan: team}}}")
    take = track("take", "grade: warm", "- {id: s, set: {attributes: {plan: free}}}")
    assert (await lead.publish(give)).status_code == 201
    refused = await lead.publish(take)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert "contacts would go round without a pause: take → give → take" in error["detail"]
    waits = take.replace("steps:\n", "steps:\n  - {id: w, wait: 1h}\n")
    assert (await lead.publish(waits)).status_code == 201


async def test_contacts_are_exported_by_grade_as_csv_or_json_lines(lead: Api) -> None:
    lines = (await lead.call("GET", "/v1/scores/lead/export")).text.splitlines()
    assert [line.split(",")[:3] for line in lines] == [
        ["contact_id", "value", "grade"],
        ["ann", "20.0", "warm"],
        ["bob", "0.0", "cold"],
    ]
    told = await lead.call("GET", "/v1/scores/lead/export", params={"format": "jsonl", "grade": "cold"})
    assert [json.loads(line)["contact_id"] for line in told.text.splitlines()] == ["bob"]
    refused = await lead.call("GET", "/v1/scores/lead/export", params={"grade": "icy"})
    assert refused.status_code == 422
    assert (await lead.call("GET", "/v1/scores/nothing/sizes")).status_code == 404


async def test_sizes_are_counted_by_day_and_grade(lead: Api, db: Database) -> None:
    assert await read(lead, "/v1/scores/lead/sizes") == {"days": []}
    assert await SegmentUpkeep(db).note_sizes()
    (today,) = (await read(lead, "/v1/scores/lead/sizes", days=1))["days"]
    assert list(today["grades"].items()) == [
        ("cold", {"contacts": 1, "entered": 0, "left": 0}),
        ("warm", {"contacts": 1, "entered": 0, "left": 0}),
        ("hot", {"contacts": 0, "entered": 0, "left": 0}),
    ]
    assert not await SegmentUpkeep(db).note_sizes()
