"""Contacts enter tracks by the track's re-entry rule, one or a thousand at a time."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from sqlalchemy import text

from settings import Settings
from store.engine.database import Database
from store.runs.enrollments import enrollments
from tests.api.client import Api, track


@pytest.fixture
async def ready(api: Api) -> Api:
    await api.publish(track())
    await api.contact("user-1", email="ada@example.com")
    return api


async def outbox(db: Database) -> list[str]:
    async with db.transaction() as tx:
        return list((await tx.execute(text("SELECT kind FROM outbox ORDER BY id"))).scalars())


async def end(db: Database, enrollment_id: str) -> None:
    async with db.transaction() as tx:
        await enrollments.close(tx, enrollment_id, "completed", "end of the track")


async def test_enrolling_stores_the_run_and_its_start(ready: Api, db: Database) -> None:
    answer = await ready.enroll("user-1", properties={"plan": "team"})
    shown = answer.json()
    assert answer.status_code == 201
    assert (shown["track"], shown["version"], shown["contact_id"], shown["key"], shown["created"]) == (
        "welcome",
        1,
        "user-1",
        None,
        True,
    )
    assert shown["workflow_id"] == "nurture/welcome/user-1"
    assert await outbox(db) == ["start"]


async def test_asking_again_answers_with_the_same_one(ready: Api, db: Database) -> None:
    first, second = await ready.enroll("user-1"), await ready.enroll("user-1")
    assert (second.status_code, second.json()["id"], second.json()["created"]) == (200, first.json()["id"], False)
    assert await outbox(db) == ["start"]


async def test_many_at_once_make_one(ready: Api, db: Database) -> None:
    answers = await asyncio.gather(*(ready.enroll("user-1") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await outbox(db) == ["start"]


async def test_after_the_end_the_rule_decides_and_is_named(ready: Api, db: Database) -> None:
    first = (await ready.enroll("user-1")).json()["id"]
    await end(db, first)
    refused = await ready.enroll("user-1")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:perennial:problem:reentry-refused")
    assert (refused.json()["rule"], refused.json()["enrollment_id"]) == ("never", first)
    assert "never" in refused.json()["detail"]

    await ready.publish(track(reentry="always"))
    again = await ready.enroll("user-1")
    assert (again.status_code, again.json()["version"]) == (201, 2)
    assert again.json()["id"] != first


async def test_one_run_per_cart(ready: Api) -> None:
    await ready.publish(track("cart", reentry="{per: cart_id}"))
    one = await ready.enroll("user-1", "cart", key="c-1")
    two = await ready.enroll("user-1", "cart", properties={"cart_id": "c-2"})
    same = await ready.enroll("user-1", "cart", properties={"cart_id": "c-1"})
    lacking = await ready.enroll("user-1", "cart")
    assert [one.status_code, two.status_code, same.status_code, lacking.status_code] == [201, 201, 200, 422]
    assert two.json()["workflow_id"] == "nurture/cart/user-1/c-2"
    assert lacking.json()["errors"][0]["pointer"] == "#/key"
    assert "cart_id" in lacking.json()["errors"][0]["detail"]


async def test_a_key_is_never_taken_from_what_gives_the_person_away(ready: Api, db: Database) -> None:
    await ready.publish(track("cart", reentry="{per: cart_id}", more="entry: {event: cart.left}\n"))
    for personal in ("ada@example.com", "+41446681800", "x" * 129):
        answer = await ready.enroll("user-1", "cart", properties={"cart_id": personal})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/key")
        assert (await ready.event("user-1", "cart.left", properties={"cart_id": personal})).json()["enrolled"] == 0
    assert await outbox(db) == []


async def test_a_key_that_no_rule_asks_for_is_refused(ready: Api) -> None:
    answer = await ready.enroll("user-1", key="c-1")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/key")


async def test_every_bad_field_is_named_at_once(ready: Api) -> None:
    answer = await ready.call(
        "POST",
        "/v1/enrollments",
        json={"track": "No Such", "contact_id": "ada@example.com", "pace": 0, "properties": [], "x": 1},
    )
    assert answer.status_code == 422
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"#/track", "#/contact_id", "#/pace", "#/properties", "#/x"}


async def test_an_unknown_track_or_contact_is_named(ready: Api) -> None:
    track_missing = await ready.enroll("user-1", "nowhere")
    contact_missing = await ready.enroll("user-2")
    assert [track_missing.status_code, contact_missing.status_code] == [422, 422]
    assert track_missing.json()["errors"][0]["pointer"] == "#/track"
    assert contact_missing.json()["errors"][0]["pointer"] == "#/contact_id"


async def test_pacing_has_to_be_allowed_by_the_installation(ready: Api, settings: Settings) -> None:
    assert (await ready.enroll("user-1", pace=86400)).status_code == 201
    settings.environment = "production"
    refused = await ready.enroll("user-1", pace=86400)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/pace")


async def batch(api: Api, items: list[object]) -> httpx.Response:
    return await api.call("POST", "/v1/enrollments/batch", json={"enrollments": items})


async def test_a_bad_item_of_a_batch_does_not_touch_its_neighbours(ready: Api, db: Database) -> None:
    await ready.contact("user-2")
    answer = await batch(
        ready,
        [
            {"track": "welcome", "contact_id": "user-1"},
            {"track": "welcome", "contact_id": "ada@example.com"},
            "nonsense",
            {"track": "nowhere", "contact_id": "user-1"},
            {"track": "welcome", "contact_id": "user-2", "properties": {"n": "\x00"}},
            {"track": "welcome", "contact_id": "user-2"},
            {"track": "welcome", "contact_id": "user-1"},
        ],
    )
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [one["index"] for one in results] == list(range(7))
    assert [one["status"] for one in results] == [201, 422, 422, 422, 422, 201, 200]
    assert all(one["errors"] for one in results if one["status"] == 422)
    assert results[6]["enrollment"]["id"] == results[0]["enrollment"]["id"]
    assert await outbox(db) == ["start", "start"]


async def test_a_batch_may_be_empty(ready: Api) -> None:
    assert (await batch(ready, [])).json() == {"results": []}


async def test_a_batch_past_the_limit_is_refused_with_the_limit(ready: Api) -> None:
    answer = await batch(ready, [{"track": "welcome", "contact_id": "user-1"}] * 1001)
    assert answer.status_code == 422
    assert "1000" in answer.json()["errors"][0]["detail"]


async def test_a_thousand_at_once(ready: Api, db: Database) -> None:
    people = [f"person-{number}" for number in range(1000)]
    await ready.call("POST", "/v1/batch", json={"batch": [{"type": "identify", "userId": person} for person in people]})
    answer = await batch(ready, [{"track": "welcome", "contact_id": person} for person in people])
    assert {one["status"] for one in answer.json()["results"]} == {201}
    assert len(await outbox(db)) == 1000


async def test_an_object_may_have_a_number_as_long_as_a_telephones(ready: Api) -> None:
    await ready.publish(track("cart", reentry="{per: cart_id}"))
    given = await ready.enroll("user-1", "cart", key="4155552671")
    taken = await ready.enroll("user-1", "cart", properties={"cart_id": "2125550123"})
    assert [(one.status_code, one.json()["key"]) for one in (given, taken)] == [
        (201, "4155552671"),
        (201, "2125550123"),
    ]


@pytest.mark.parametrize("value", ["k" * 129, "車" * 110, 1.5, True])
async def test_a_property_that_cannot_be_a_key_says_why(ready: Api, value: object) -> None:
    await ready.publish(track("cart", reentry="{per: cart_id}"))
    answer = await ready.enroll("user-1", "cart", properties={"cart_id": value})
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "#/key")
    assert any(word in error["detail"] for word in ("more than", "no text and no whole number"))
