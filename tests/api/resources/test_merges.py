"""Two contacts are merged, listed and parted through the API and by Segment's `alias`."""

from __future__ import annotations

from typing import Any

import httpx

from settings import Settings
from store.engine.database import Database
from tests.api.client import Api, track
from tests.api.messages import rows
from tests.api.preferences.preference_calls import link, message, suppressed


async def merge(api: Api, into: str = "user-1", from_: str = "anon-7", word: str = "merge") -> httpx.Response:
    return await api.call("POST", f"/v1/contacts/{into}/{word}", json={"from": from_})


async def batch(api: Api, *items: Any) -> dict[str, Any]:
    answer = await api.call("POST", "/v1/batch", json={"batch": list(items)})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_a_merge_says_what_moved_and_every_later_call_answers_for_the_survivor(api: Api) -> None:
    await api.publish(track(more="entry: {event: trial.started}\n"))
    await api.contact("user-1", email="ada@example.com")
    await api.contact("anon-7", attributes={"utm": "search"})
    await api.event("anon-7", "page.viewed")
    answer = await merge(api)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["contact_id"], shown["merged_id"], shown["merged"]) == ("user-1", "anon-7", True)
    assert (shown["moved"], shown["filled"], shown["runs_ended"]) == ({"event": 1}, ["attributes.utm"], [])
    assert (await api.get("/v1/contacts/anon-7")).json()["id"] == "user-1"
    assert (await api.contact("anon-7", locale="de")).json()["id"] == "user-1"
    assert (await api.event("anon-7", "trial.started")).json()["merged_into"] == "user-1"
    assert "merged_into" not in (await api.event("user-1", "page.viewed")).json()
    assert (await api.enroll("anon-7")).json()["contact_id"] == "user-1"
    for path in ("/v1/events", "/v1/enrollments", "/v1/messages"):
        assert (await api.get(path, contact_id="anon-7")).json() == (await api.get(path, contact_id="user-1")).json()
    said = {"consents": [{"channel": "email", "status": "withdrawn", "source": "a call"}]}
    assert (await api.call("PUT", "/v1/contacts/anon-7/consents", json=said)).json()["contact_id"] == "user-1"
    assert (await api.call("GET", "/v1/contacts/anon-7/consents")).json()["contact_id"] == "user-1"
    assert (await api.call("DELETE", "/v1/contacts/anon-7")).json()["contact_id"] == "user-1"
    assert (await api.get("/v1/contacts/user-1")).status_code == 404


async def test_a_merge_is_listed_with_the_keys_name_and_can_be_undone(api: Api, db: Database) -> None:
    await api.contact("user-1")
    await api.contact("anon-7", email="grace@example.com")
    await merge(api)
    for contact_id in ("user-1", "anon-7"):
        listed = (await api.get(f"/v1/contacts/{contact_id}/merges")).json()
        assert listed["contact_id"] == "user-1"
        (one,) = listed["merges"]
        [(name,)] = await rows(db, "SELECT name FROM api_key")
        assert (one["merged_id"], one["merged_by"], one["undone_at"]) == ("anon-7", name, None)
        assert one["undoable_until"] > one["merged_at"]
    assert (await merge(api, word="unmerge")).status_code == 200
    (one,) = (await api.get("/v1/contacts/user-1/merges")).json()["merges"]
    assert one["undone_at"] is not None and one["undone_by"] == one["merged_by"] and one["undoable_until"] is None
    assert (await api.get("/v1/contacts/anon-7")).json()["email"] == "grace@example.com"
    assert (await api.get("/v1/contacts/user-1")).json()["email"] is None


async def test_what_cannot_be_merged_or_undone_is_refused_with_the_reason(api: Api) -> None:
    for contact_id in ("user-1", "user-2", "anon-7", "gone"):
        await api.contact(contact_id)
    await api.call("DELETE", "/v1/contacts/gone")
    assert (await merge(api, from_="nobody")).status_code == 404
    assert (await merge(api, into="nobody")).status_code == 404
    assert (await merge(api, from_="gone")).json()["type"] == "urn:perennial:problem:merge-refused"
    assert (await merge(api, word="unmerge")).status_code == 404
    assert (await merge(api)).json()["merged"] is True
    assert (await merge(api)).json()["merged"] is False
    taken = await merge(api, into="user-2")
    assert (taken.status_code, taken.json()["merged_into"]) == (409, "user-1")
    await merge(api, into="user-1", from_="user-2")
    blocked = await merge(api, word="unmerge")
    assert (blocked.status_code, blocked.json()["undo_first"]) == (409, "user-2")
    unreadable = await api.call("POST", "/v1/contacts/user-1/merge", json={"form": "anon-7"})
    assert unreadable.status_code == 422


async def test_segments_alias_merges_in_the_order_of_the_batch(api: Api) -> None:
    done = await batch(
        api,
        {"type": "track", "userId": "anon-7", "event": "page.viewed", "messageId": "m-1"},
        {"type": "alias", "userId": "user-1", "previousId": "anon-7"},
        {"type": "track", "userId": "anon-7", "event": "page.viewed", "messageId": "m-2"},
        {"type": "identify", "userId": "anon-7", "traits": {"plan": "team"}},
        {"type": "alias", "userId": "user-2", "previousId": "anon-7"},
        {"type": "alias", "userId": "user-1"},
    )
    assert done["accepted"] == 4
    assert done["merged"] == [{"index": index, "merged_into": "user-1"} for index in (1, 2, 3)]
    assert [(one["index"], one["status"], one["reason"]) for one in done["problems"]] == [
        (4, "ignored", "taken"),
        (5, "rejected", "invalid"),
    ]
    events = (await api.get("/v1/contacts/user-1/events")).json()["events"]
    assert {one["event_id"] for one in events} == {"m-1", "m-2"}
    assert (await api.get("/v1/contacts/user-1")).json()["attributes"] == {"plan": "team"}


async def test_an_alias_of_an_id_that_nobody_has_yet_takes_what_comes_later(api: Api) -> None:
    assert (await batch(api, {"type": "alias", "userId": "user-1", "previousId": "anon-8"}))["accepted"] == 1
    assert (await api.event("anon-8", "page.viewed")).json()["merged_into"] == "user-1"
    again = await batch(api, {"type": "alias", "userId": "user-1", "previousId": "anon-8"})
    assert (again["accepted"], again["problems"]) == (1, [])


async def test_a_link_in_a_message_to_the_merged_id_unsubscribes_the_survivor(
    api: Api, db: Database, settings: Settings
) -> None:
    sent = await message(api, db)
    await api.contact("user-2", email="grace@example.com")
    await merge(api, into="user-2", from_="user-1")
    answer = await api.client.post(link(settings, sent), data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert await rows(db, "SELECT contact_id, channel, status FROM consent") == [("user-2", "email", "withdrawn")]
    assert await suppressed(db) == "unsubscribed", "the address that the link was sent to"
    paused = await api.call("POST", "/v1/contacts/user-1/pause", json={"until": None})
    assert paused.json() == {"contact_id": "user-2", "paused_until": None}
