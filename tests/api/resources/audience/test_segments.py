"""Segments through the API: published, filled, listed, explained, exported, checked; and as the reason of a track."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database
from tests.api.client import Api

TEAM = 'segment: team\nmembers: contact.attributes.plan == "team"\n'
YAML = {"content-type": "application/yaml"}


async def put(api: Api, source: str, name: str = "team", **params: Any) -> Any:
    return await api.call("PUT", f"/v1/segments/{name}", content=source.encode(), headers=YAML, params=params)


async def fill(db: Database) -> None:
    while await SegmentUpkeep(db).fill():
        pass


@pytest.fixture
async def team(api: Api, db: Database) -> Api:
    """Ann and Eve are in the team; Bob is not."""
    for who, plan in (("ann", "team"), ("bob", "free"), ("eve", "team")):
        await api.contact(who, attributes={"plan": plan})
    assert (await put(api, TEAM)).status_code == 201
    await fill(db)
    return api


async def read(api: Api, path: str, **params: Any) -> Any:
    answer = await api.call("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_it_is_published_once_and_shows_how_far_it_is(api: Api, db: Database) -> None:
    await api.contact("ann", attributes={"plan": "team"})
    assert (await put(api, TEAM)).json() == {"segment": "team", "version": 1, "created": True}
    again = await put(api, TEAM)
    assert (again.status_code, again.json()["created"]) == (200, False)
    shown = await read(api, "/v1/segments/team")
    assert (shown["live"], shown["members"], shown["filling"]["state"]) == (None, 0, "filling")
    early = await api.call("GET", "/v1/segments/team/members")
    assert early.status_code == 409 and early.json()["type"].endswith("segment-not-live")
    await fill(db)
    shown = await read(api, "/v1/segments/team")
    assert (shown["live"], shown["members"], shown["source"]) == (1, 1, TEAM)
    assert (shown["filling"]["state"], shown["filling"]["evaluated"]) == ("live", 1)
    assert await read(api, "/v1/segments") == {
        "segments": [{"segment": "team", "version": 1, "live": 1}],
        "next": None,
    }
    assert [one["version"] for one in (await read(api, "/v1/segments/team/versions"))["versions"]] == [1]


async def test_all_mistakes_are_told_with_their_lines(api: Api) -> None:
    refused = await put(api, "segment: other\nmembers:\n  any:\n    - {dit: a}\n    - contact.x\n")
    assert refused.status_code == 422
    assert [error.get("line") for error in refused.json()["errors"]] == [4, 5]
    named = await put(api, TEAM.replace("team\n", "other\n", 1))
    assert "the address says team" in named.json()["errors"][0]["detail"]


async def test_members_are_paged_and_exported(team: Api) -> None:
    first = await read(team, "/v1/segments/team/members", limit=1)
    assert [one["contact_id"] for one in first["members"]] == ["ann"]
    second = await read(team, "/v1/segments/team/members", limit=1, cursor=first["next"])
    assert [one["contact_id"] for one in second["members"]] == ["eve"] and second["next"] is None
    csv = await team.call("GET", "/v1/segments/team/export")
    assert [line.split(",")[0] for line in csv.text.splitlines()] == ["contact_id", "ann", "eve"]
    lines = await team.call("GET", "/v1/segments/team/export", params={"format": "jsonl"})
    assert [json.loads(line)["contact_id"] for line in lines.text.splitlines()] == ["ann", "eve"]


async def test_it_says_why(team: Api) -> None:
    ann = await read(team, "/v1/segments/team/members/ann")
    bob = await read(team, "/v1/segments/team/members/bob")
    assert (ann["member"], bob["member"]) == (True, False)
    assert ann["leaves"][0]["leaf"] == 'contact.attributes.plan == "team"'
    assert (await team.call("GET", "/v1/segments/team/members/nobody")).status_code == 404


async def test_a_contact_shows_its_segments_at_once(team: Api) -> None:
    assert (await read(team, "/v1/contacts/ann"))["segments"] == ["team"]
    changed = await team.call("PUT", "/v1/contacts/ann", json={"attributes": {"plan": "free"}})
    assert changed.json()["segments"] == []
    assert (await read(team, "/v1/contacts/ann"))["segments"] == []


async def test_the_check_finds_a_membership_that_is_wrong(team: Api, db: Database) -> None:
    assert await read(team, "/v1/segments/team/check") == {"contacts": 3, "late": 0, "differences": [], "next": None}
    async with db.transaction() as tx:
        from sqlalchemy import text

        await tx.execute(text("UPDATE membership SET member = false WHERE contact_id = 'eve'"))
    found = await read(team, "/v1/segments/team/check")
    assert found["differences"] == [{"contact_id": "eve", "stored": False, "evaluated": True}]


async def test_a_preview_compares_with_the_live_version(team: Api) -> None:
    source = 'segment: team\nmembers: contact.attributes.plan == "free"\n'
    answer = await team.call("POST", "/v1/segments/preview", json={"source": source})
    assert (answer.json()["members"], answer.json()["entering"], answer.json()["leaving"]) == (1, 1, 2)


async def test_a_filling_is_paused_resumed_and_canceled(api: Api, db: Database) -> None:
    await put(api, TEAM)

    async def steer(verb: str, version: int = 1) -> Any:
        return await api.call("POST", f"/v1/segments/team/versions/{version}/{verb}")

    assert (await steer("pause")).json() == {"segment": "team", "version": 1, "done": True}
    await fill(db)
    assert (await read(api, "/v1/segments/team"))["live"] is None
    assert (await steer("cancel")).json()["done"] and not (await steer("cancel")).json()["done"]
    assert (await steer("pause", 7)).status_code == 404
    assert (await put(api, TEAM)).json()["version"] == 2
    await fill(db)
    assert (await read(api, "/v1/segments/team"))["live"] == 2
    assert not (await steer("resume", 2)).json()["done"]


async def test_a_deploy_publishes_segments_with_the_tracks_that_name_them(api: Api, db: Database) -> None:
    track = "track: save\nentry: {segment: team}\nexits: [{leaves: team}]\nsteps: [{id: w, wait: 3d}]\n"
    alone = await api.call("POST", "/v1/deploys", json={"tracks": {"save": track.replace("team", "tean")}})
    assert [error["detail"] for error in alone.json()["errors"]] == [
        "there is no segment 'tean'; publish it before or in the same deploy"
    ] * 2
    body = {"tracks": {"save": track}, "segments": {"team": TEAM}, "existing": "enter"}
    dry = await api.call("POST", "/v1/deploys", json=body | {"dry_run": True})
    assert {(one["kind"], one["outcome"]) for one in dry.json()["documents"]} == {("track", "new"), ("segment", "new")}
    await api.contact("ann", attributes={"plan": "team"})
    assert (await api.call("POST", "/v1/deploys", json=body)).status_code == 200
    await fill(db)
    (run,) = (await read(api, "/v1/contacts/ann/enrollments"))["enrollments"]
    assert (run["track"], run["status"]) == ("save", "active")
