"""Segment's own library is a client that we did not write; its batches are taken item by item."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from segment.analytics.client import Client
from sqlalchemy import text

from api.segment_format import Identify, Track, translate
from store.database import Database
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
    assert names == ["Seen", "Trial Started"]
    assert not [thread for thread in threading.enumerate() if "Consumer" in type(thread).__name__]


async def test_a_wrong_write_key_is_refused(app: FastAPI, api: Api) -> None:
    answer = await api.client.post("/v1/batch", json={"batch": []}, auth=("wrong", ""))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="perennial"')


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
        {"type": "page", "userId": "user-1"},
        "nonsense",
        {"type": "track", "userId": "user-1", "event": "x", "properties": {"a": "\x00"}},
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


async def test_a_bad_address_does_not_cost_the_other_traits(api: Api) -> None:
    result = await send(
        api,
        {"type": "identify", "userId": "user-1", "traits": {"phone": "044 668", "email": "ada@example.com", "n": 1}},
    )
    assert (result["accepted"], result["problems"][0]["status"]) == (1, "partly accepted")
    shown = (await api.get("/v1/contacts/user-1")).json()
    assert (shown["email"], shown["phone"], shown["attributes"]) == ("ada@example.com", None, {"n": 1})


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


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
items = st.fixed_dictionaries(
    {"type": st.sampled_from(["identify", "track", "page"]) | json_values},
    optional={
        name: json_values | st.just("user-1")
        for name in ("userId", "traits", "properties", "event", "messageId", "timestamp", "context")
    },
)


@given(items | json_values)
def test_no_item_breaks_the_translation(item: Any) -> None:
    result = translate(0, item)
    assert isinstance(result.action, Identify | Track) or result.reason


@given(items)
def test_an_item_without_an_id_of_its_own_is_the_same_each_time(item: Any) -> None:
    first, second = translate(0, item).action, translate(5, item).action
    if isinstance(first, Track):
        assert isinstance(second, Track)
        assert first.event_id == second.event_id
