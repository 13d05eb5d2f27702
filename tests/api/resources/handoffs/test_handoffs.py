"""Handoffs through the API: listed, read, and answered once."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from store.engine.database import Database
from store.people.handoffs import answering
from tests.api.client import Api
from tests.api.resources.handoffs.leads import POLICY, TRACK, handed, publish_policy

CONVERTED = {"status": "converted"}


async def test_handoffs_are_listed_by_status_and_salesperson_in_pages(api: Api, db: Database) -> None:
    made = [await handed(api, db, f"user-{number}") for number in range(3)]
    first = (await api.get("/v1/handoffs", limit="2")).json()
    assert [one["contact_id"] for one in first["handoffs"]] == ["user-2", "user-1"]
    rest = (await api.get("/v1/handoffs", limit="2", cursor=first["next"])).json()
    assert ([one["contact_id"] for one in rest["handoffs"]], rest["next"]) == (["user-0"], None)
    await api.call("POST", f"/v1/handoffs/{made[0].id}/feedback", json={"status": "accepted"})
    waiting = (await api.get("/v1/handoffs", status="waiting", salesperson="ada")).json()["handoffs"]
    assert [one["contact_id"] for one in waiting] == ["user-2"]
    assert (await api.get("/v1/handoffs", since="2100-01-01T00:00:00Z")).json()["handoffs"] == []


async def test_a_handoff_is_read_with_its_summary_and_its_link(api: Api, db: Database) -> None:
    made = await handed(api, db)
    shown = (await api.get(f"/v1/handoffs/{made.id}")).json()
    assert (shown["status"], shown["salesperson"], shown["summary"]) == ("waiting", "ada", "Did & much")
    assert shown["answer_url"].startswith("https://nurture.acme.test/handoff/")
    assert (await api.get("/v1/handoffs/unknown")).status_code == 404


async def test_an_answer_is_taken_once_and_says_so_when_it_is_repeated(api: Api, db: Database) -> None:
    made = await handed(api, db)
    body = {"status": "rejected", "reason": "not-a-fit"}
    answers = [await api.call("POST", f"/v1/handoffs/{made.id}/feedback", json=body) for _ in range(2)]
    assert [(one.status_code, one.json()["repeated"]) for one in answers] == [(200, False), (200, True)]
    assert answers[0].json()["answered_by"] == "api"
    events = (await api.get("/v1/events", contact_id="user-1")).json()["events"]
    assert [(one["name"], one["properties"]["reason"]) for one in events] == [("handoff.rejected", "not-a-fit")]
    other = await api.call("POST", f"/v1/handoffs/{made.id}/feedback", json={"status": "accepted"})
    said = other.json()
    assert (other.status_code, said["late"], said["status"]) == (200, True, "rejected")
    assert "rejected (not-a-fit)" in said["detail"]
    early = await api.call("POST", f"/v1/handoffs/{(await handed(api, db, 'user-2')).id}/feedback", json=CONVERTED)
    assert (early.status_code, early.json()["type"].rpartition(":")[2]) == (409, "handoff-answered")


async def test_a_late_answer_is_kept_as_feedback_and_says_that_the_track_went_on(api: Api, db: Database) -> None:
    made = await handed(api, db)
    async with db.transaction() as tx:
        await answering.settle(tx, made.effect_key, "expired")
    late = await api.call("POST", f"/v1/handoffs/{made.id}/feedback", json={"status": "accepted"})
    assert late.status_code == 200 and late.json()["late"] and "comes too late" in late.json()["detail"]
    shown = (await api.get(f"/v1/handoffs/{made.id}")).json()
    assert shown["status"] == "expired"
    assert [(one["status"], one["by"]) for one in shown["late_answers"]] == [("accepted", "api")]
    assert [one["name"] for one in (await api.get("/v1/events", contact_id="user-1")).json()["events"]] == [
        "handoff.expired"
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": "rejected"}, "A rejection needs a reason"),
        ({"status": "rejected", "reason": "not-a-fitt"}, "did you mean 'not-a-fit'"),
        ({"status": "accepted", "reason": "not-a-fit"}, "Only `rejected` takes a reason"),
        ({"status": "won"}, "should be 'accepted'"),
    ],
)
async def test_a_wrong_answer_is_refused_with_what_would_be_right(
    api: Api, db: Database, body: dict[str, str], said: str
) -> None:
    made = await handed(api, db)
    refused = await api.call("POST", f"/v1/handoffs/{made.id}/feedback", json=body)
    assert refused.status_code == 422
    assert said in refused.json()["errors"][0]["detail"]


async def test_a_track_cannot_be_published_for_a_team_that_the_policy_has_not(api: Api) -> None:
    await publish_policy(api)
    refused = await api.publish(TRACK.replace("to: sales", "to: sale"))
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["detail"] == "there is no team 'sale' in the policy's sales; did you mean 'sales'?"
    assert error["step"] == "sales"


async def test_a_track_cannot_ask_for_a_grade_of_a_score_that_there_is_not(api: Api) -> None:
    await publish_policy(api)
    asking = TRACK.replace("due: 2d", "due: 2d, needs: {score: leed, grade: hot, explore: %s}")
    refused = await api.publish(asking % "5%")
    (error,) = refused.json()["errors"]
    assert error["detail"] == "there is no score 'leed'; publish it before or in the same deploy"
    for share in ("70%", "0%", "half"):
        assert "a share of at most 50 %" in (await api.publish(asking % share)).json()["errors"][0]["detail"]


async def test_a_team_that_a_track_hands_over_to_cannot_be_removed_from_the_policy(api: Api) -> None:
    await publish_policy(api)
    await api.publish(TRACK)
    refused = await publish_policy(api, POLICY.replace("sales: {people", "others: {people"))
    assert refused.status_code == 422
    assert "sales.teams: 'sales' is missing; the track lead hands leads over to it" in refused.text


async def test_a_score_is_compared_with_what_sales_said(api: Api, db: Database) -> None:
    for number in range(24):
        made = await handed(api, db, f"user-{number}")
        hot = number % 2 == 0
        scores = {"lead": {"grade": "hot" if hot else "cold", "points": {"viewed": 10 if hot else 0}}}
        async with db.transaction() as tx:
            await tx.execute(
                text("UPDATE handoff SET scores = CAST(:s AS jsonb) WHERE id = :id"),
                {"s": json.dumps(scores), "id": made.id},
            )
            await answering.answer(tx, "accepted" if hot else "rejected", handoff_id=made.id, reason="")
    found = (await api.get("/v1/handoffs/quality", score="lead")).json()
    shares = {one["grade"]: one["accepted"]["estimate"] for one in found["grades"]}
    assert shares == {"cold": 0.0, "hot": 1.0}
    (rule,) = found["rules"]
    assert (rule["rule"], rule["verdict"], rule["ratio"]) == ("viewed", "borne out", None)
    assert found["unsupported"] == []
    assert (await api.get("/v1/handoffs/quality")).status_code == 422
