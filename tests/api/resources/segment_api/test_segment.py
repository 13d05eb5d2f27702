"""Segment's own library, a client that we did not write, works. Batches are processed item by item."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from segment.analytics.client import Client
from sqlalchemy import text

from store.engine.database import Database
from tests.api.client import Api, track
from tests.api.server import serve


async def send(api: Api, *items: Any) -> dict[str, Any]:
    answer = await api.call("POST", "/v1/batch", json={"batch": list(items)})
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()
    return result


@pytest.mark.parametrize("gzip", [False, True])
async def test_segments_own_library_identifies_and_tracks(
    app: FastAPI, api: Api, key: str, db: Database, gzip: bool
) -> None:
    await api.publish(track("trial", more="entry: {event: Trial Started}\n"))
    failures: list[Any] = []
    async with serve(app) as address:

        def speak() -> None:
            segment = Client(
                key, host=address, gzip=gzip, on_error=lambda *error: failures.append(error), max_retries=1
            )
            segment.identify(
                "user-1", {"email": "ada@example.com", "first_name": "Ada", "since": datetime(2026, 1, 2, tzinfo=UTC)}
            )
            segment.track("user-1", "Trial Started", {"plan": "team"})
            segment.page("user-1", "docs", "home")
            segment.track("user-1", "Seen")
            segment.flush()
            segment.join()

        await asyncio.to_thread(speak)
    assert failures == []
    shown = (await api.get("/v1/contacts/user-1")).json()
    assert (shown["email"], shown["attributes"]["first_name"]) == ("ada@example.com", "Ada")
    assert shown["attributes"]["since"].startswith("2026-01-02")
    enrolled = (await api.get("/v1/enrollments", contact_id="user-1")).json()["enrollments"]
    assert [one["track"] for one in enrolled] == ["trial"]
    async with db.transaction() as tx:
        names = (await tx.execute(text("SELECT name FROM event ORDER BY name"))).scalars().all()
        seen = (await tx.execute(text("SELECT properties FROM event WHERE name = 'page.viewed'"))).scalar_one()
    assert names == ["Seen", "Trial Started", "page.viewed"]
    assert (seen["category"], seen["name"]) == ("docs", "home")
    assert not [thread for thread in threading.enumerate() if "Consumer" in type(thread).__name__]


async def test_a_wrong_write_key_is_refused(app: FastAPI, api: Api) -> None:
    answer = await api.client.post("/v1/batch", json={"batch": []}, auth=("wrong", ""))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="perennial"')
    assert "`writeKey` in the body is not read" in answer.json()["detail"]


@pytest.mark.parametrize("call", ["b", "m", "t", "i", "p", "s", "g", "a"])
async def test_a_key_that_everybody_can_read_is_refused_with_the_way_round(api: Api, key: str, call: str) -> None:
    """The posts of Segment's libraries for browsers and phones, with or without a valid key."""
    body = {"type": "track", "userId": "user-1", "event": "x", "writeKey": key}
    for answer in (
        await api.client.post(f"/v1/{call}", json=body),
        await api.client.post(f"/v1/{call}", json=body, auth=(key, "")),
    ):
        assert answer.status_code == 403
        assert "/v1/batch" in answer.json()["detail"]
        assert "access-control-allow-origin" not in answer.headers
    assert (await api.get("/v1/contacts/user-1")).status_code == 404


async def test_the_older_address_works_too(api: Api, key: str) -> None:
    item = {"type": "track", "userId": "user-1", "event": "x", "messageId": "m-1"}
    answer = await api.client.post("/v1/import", json={"batch": [item]}, auth=(key, ""))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


async def test_a_batch_sent_twice_counts_once(api: Api) -> None:
    items = [{"type": "track", "userId": "user-1", "event": "x", "messageId": f"m-{n}"} for n in range(3)]
    assert (await send(api, *items))["duplicates"] == 0
    assert (await send(api, *items))["duplicates"] == 3


async def test_bad_items_are_told_and_do_not_touch_their_neighbours(api: Api) -> None:
    result = await send(
        api,
        {"type": "identify", "userId": "user-1", "traits": {"email": "ada@example.com"}},
        {"type": "identify", "userId": "ada@example.com", "traits": {"email": "ada@example.com"}},
        {"type": "track", "anonymousId": "a-1", "event": "x"},
        {"type": "track", "userId": "user-1", "event": "", "properties": [], "timestamp": "yesterday"},
        {"type": "metrics", "userId": "user-1"},
        "nonsense",
        {"type": "track", "userId": "user-1", "event": "x\x00"},
        {"type": "track", "userId": "user-1", "event": "kept"},
    )
    assert result["accepted"] == 2
    said = {one["index"]: one for one in result["problems"]}
    assert {index: one["status"] for index, one in said.items()} == {
        1: "rejected",
        2: "rejected",
        3: "rejected",
        4: "ignored",
        5: "rejected",
        6: "rejected",
    }
    assert "email address" in said[1]["errors"][0]["detail"]
    assert {error["pointer"] for error in said[3]["errors"]} == {
        "#/batch/3/event",
        "#/batch/3/properties",
        "#/batch/3/timestamp",
    }


async def test_pages_and_screens_are_events_and_what_is_wrong_with_one_is_told_at_once(api: Api) -> None:
    result = await send(
        api,
        {"type": "page", "userId": "user-1", "name": "Pricing", "properties": {"path": "/pricing", "name": "other"}},
        {"type": "screen", "userId": "user-1"},
        {"type": "page", "userId": "user-1", "name": 5, "category": [], "properties": "x", "timestamp": "yesterday"},
        {"type": "page", "anonymousId": "a-1", "name": "Pricing"},
    )
    assert result["accepted"] == 2
    assert [(one["index"], one["status"], one["reason"]) for one in result["problems"]] == [
        (2, "rejected", "invalid"),
        (3, "rejected", "anonymous"),
    ]
    wrong = {error["pointer"].removeprefix("#/batch/2/") for error in result["problems"][0]["errors"]}
    assert wrong == {"name", "category", "properties", "timestamp"}
    stored = (await api.get("/v1/events", contact_id="user-1")).json()["events"]
    assert {one["name"]: one["properties"] for one in stored} == {
        "page.viewed": {"path": "/pricing", "name": "Pricing"},
        "screen.viewed": {},
    }


async def test_a_group_is_one_attribute_that_never_touches_the_contacts_own(api: Api) -> None:
    async def group_after(*items: dict[str, Any]) -> Any:
        result = await send(api, *({"type": "group", "userId": "user-1", **item} for item in items))
        assert (result["accepted"], result["problems"]) == (len(items), [])
        shown = (await api.get("/v1/contacts/user-1")).json()["attributes"]
        assert shown.pop("plan") == "mine"
        return shown["group"]

    await send(api, {"type": "identify", "userId": "user-1", "traits": {"plan": "mine"}})
    first = {"groupId": 7, "traits": {"plan": "team", "seats": 3, "id": "other"}}
    assert await group_after(first) == {"id": "7", "plan": "team", "seats": 3}
    assert await group_after({"groupId": "7"}) == {"id": "7", "plan": "team", "seats": 3}
    more = ({"groupId": "7", "traits": {"seats": 4}}, {"groupId": "7", "traits": {"plan": None}})
    assert await group_after(*more) == {"id": "7", "seats": 4}
    assert await group_after({"groupId": "8", "traits": {"name": "Acme"}}) == {"id": "8", "name": "Acme"}


async def test_a_group_without_an_id_is_refused_with_all_that_is_wrong(api: Api) -> None:
    result = await send(
        api, {"type": "group", "userId": "user-1", "traits": []}, {"type": "group", "userId": "user-1", "groupId": " "}
    )
    assert result["accepted"] == 0
    assert [[error["pointer"] for error in one["errors"]] for one in result["problems"]] == [
        ["#/batch/0/traits", "#/batch/0/groupId"],
        ["#/batch/1/groupId"],
    ]


async def test_a_bad_address_does_not_cost_the_other_traits(api: Api) -> None:
    result = await send(
        api,
        {"type": "identify", "userId": "user-1", "traits": {"phone": "044 668", "email": "ada@example.com", "n": 1}},
    )
    assert (result["accepted"], result["problems"][0]["status"]) == (1, "partly accepted")
    shown = (await api.get("/v1/contacts/user-1")).json()
    assert (shown["email"], shown["phone"], shown["attributes"]) == ("ada@example.com", None, {"n": 1})


async def test_a_nul_costs_its_own_place_and_no_event(api: Api) -> None:
    result = await send(
        api,
        {"type": "identify", "userId": "user-1", "traits": {"first_name": "A\x00da", "city\x00": ["Z\x00"]}},
        {"type": "track", "userId": "user-1", "event": "x", "properties": {"a": "\x00", "n": 1}},
        {"type": "track", "userId": "user-1", "event": "x", "properties": {"a": "\x00", "n": 1 << 70}},
        {"type": "track", "userId": "us\x00er-1", "event": "x"},
    )
    assert result["accepted"] == 2
    assert [(one["status"], one["reason"]) for one in result["problems"]] == [
        ("partly accepted", "unstorable"),
        ("partly accepted", "unstorable"),
        ("rejected", "unstorable"),
        ("rejected", "unstorable"),
    ]
    assert result["problems"][1]["errors"][0]["pointer"] == "#/batch/1/properties/a"
    shown = (await api.get("/v1/contacts/user-1")).json()
    assert shown["attributes"] == {"first_name": "Ada", "city": ["Z"]}


async def test_who_identifies_and_then_acts_is_known_when_the_act_is_judged(api: Api) -> None:
    await api.publish(track("vip", more="entry: {event: x, where: 'contact.attributes.vip == true'}\n"))
    result = await send(
        api,
        {"type": "track", "userId": "user-1", "event": "x", "messageId": "m-1"},
        {"type": "identify", "userId": "user-1", "traits": {"vip": True}},
        {"type": "track", "userId": "user-1", "event": "x", "messageId": "m-2"},
    )
    assert (result["accepted"], result["enrolled"]) == (3, 1)


@pytest.mark.parametrize("body", [{}, [], {"batch": {}}, {"batch": None}])
async def test_what_is_no_batch_is_refused(api: Api, body: Any) -> None:
    answer = await api.call("POST", "/v1/batch", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/batch")


async def test_a_slow_clock_still_ends_the_wait_for_what_it_tells(api: Api, db: Database) -> None:
    now = datetime.now(UTC)
    item = {"type": "track", "userId": "user-1", "event": "x", "timestamp": (now - timedelta(minutes=10)).isoformat()}
    sent_at = (now - timedelta(minutes=10) + timedelta(seconds=1)).isoformat()
    answer = await api.call("POST", "/v1/batch", json={"batch": [item], "sentAt": sent_at})
    assert (answer.status_code, answer.json()["problems"]) == (200, [])
    async with db.transaction() as tx:
        at = (await tx.execute(text("SELECT occurred_at FROM event"))).scalar_one()
    assert now - timedelta(seconds=1) <= at <= datetime.now(UTC)


async def test_a_traits_own_name_is_known_in_any_case_and_without_space(api: Api) -> None:
    await send(api, {"type": "identify", "userId": "user-1", "traits": {"Email": " ada@example.com\n", "Plan": "pro"}})
    await send(
        api,
        {"type": "identify", "userId": "user-2", "traits": {"email": "bob@example.com", "Email": "old@example.com"}},
    )
    first, second = [(await api.get(f"/v1/contacts/user-{n}")).json() for n in (1, 2)]
    assert (first["email"], first["attributes"]) == ("ada@example.com", {"Plan": "pro"})
    assert (second["email"], second["attributes"]) == ("bob@example.com", {"Email": "old@example.com"})


async def test_events_of_a_batch_that_enrol_nobody_say_why(api: Api) -> None:
    await api.publish(track("cart", reentry="{per: cart_id}", more="entry: {event: cart.left}\n"))
    told: dict[str, Any] = {"type": "track", "userId": "user-1", "event": "cart.left"}
    result = await send(
        api,
        {"type": "identify", "userId": "user-1"},
        {**told, "messageId": "m-1"},
        {**told, "messageId": "m-2", "properties": {"cart_id": "c-1"}},
        {**told, "messageId": "m-3", "properties": {"cart_id": "c-2"}, "timestamp": "2019-05-01T00:00:00Z"},
        {"type": "page"},
        {**told, "messageId": "m-4", "properties": {"cart_id": "c-1"}},
    )
    assert result["enrolled"] == 1
    assert [tuple(one[key] for key in ("index", "track", "reason")) for one in result["not_enrolled"]] == [
        (1, "cart", "no-key"),
        (3, "cart", "too-old"),
        (5, "cart", "live"),
    ]
