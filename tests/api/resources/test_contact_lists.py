"""Contacts are listed, searched and changed in batches, and the history of one contact is listed."""

from __future__ import annotations

import pytest

from store.engine.database import Database
from tests.api.client import Api, track
from tests.api.messages import sending


async def ids(api: Api, **asked: str) -> list[str]:
    answer = await api.get("/v1/contacts", **asked)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["contacts"]]


@pytest.fixture
async def people(api: Api) -> Api:
    await api.contact("crm-1", email="Ann@bücher.example", attributes={"plan": "team", "seats": 5})
    await api.contact("crm-2", email="bob@example.com", phone="+41446681800", attributes={"plan": "free"})
    await api.contact("web-1", phone="+41446681800", attributes={"plan": "team", "seats": "5"})
    return api


async def test_contacts_are_looked_for_by_what_is_known_of_them(people: Api) -> None:
    assert await ids(people) == ["crm-1", "crm-2", "web-1"]
    for written in ("ann@bücher.example", "Ann@xn--bcher-kva.example", "ANN@BÜCHER.example"):
        assert await ids(people, email=written) == ["crm-1"]
    assert await ids(people, phone="+41 44 668 18 00") == ["crm-2", "web-1"]
    assert await ids(people, attribute="plan:team") == ["crm-1", "web-1"]
    assert await ids(people, attribute="seats:5") == ["crm-1", "web-1"]
    assert await ids(people, id_prefix="crm-") == ["crm-1", "crm-2"]
    assert await ids(people, id_prefix="crm-", attribute="plan:team") == ["crm-1"]
    assert await ids(people, id_prefix="crm", phone="+41791112233") == []


async def test_pages_follow_each_other(people: Api) -> None:
    first = (await people.get("/v1/contacts", limit="2")).json()
    assert [one["id"] for one in first["contacts"]] == ["crm-1", "crm-2"]
    last = (await people.get("/v1/contacts", limit="2", cursor=first["next"])).json()
    assert ([one["id"] for one in last["contacts"]], last["next"]) == (["web-1"], None)
    other = await people.get("/v1/contacts", limit="2", cursor=first["next"], attribute="plan:team")
    assert other.status_code == 422


async def test_all_that_is_wrong_with_a_search_is_named(api: Api) -> None:
    answer = await api.get("/v1/contacts", email="nobody", phone="12", attribute="plan", id_prefix="")
    assert answer.status_code == 422
    assert {one["parameter"] for one in answer.json()["errors"]} == {"email", "phone", "attribute", "id_prefix"}


async def test_many_contacts_are_changed_and_a_bad_one_touches_no_other(api: Api) -> None:
    await api.contact("old", attributes={"plan": "free"})
    items = [
        {"id": "new", "email": "new@example.com"},
        {"id": "old", "attributes": {"plan": "team"}},
        {"id": "ann@example.com", "phone": "12"},
        {"id": "new", "email": None, "locale": "de"},
        {"id": "x", "Email": "x@example.com"},
        7,
    ]
    answer = (await api.call("POST", "/v1/contacts/batch", json={"contacts": items})).json()
    assert [one["status"] for one in answer["results"]] == [201, 200, 422, 200, 422, 422]
    assert {error["pointer"] for error in answer["results"][2]["errors"]} == {"#/id", "#/phone"}
    assert "did you mean 'email'" in answer["results"][4]["errors"][0]["detail"]
    new, old = [(await api.get(f"/v1/contacts/{one}")).json() for one in ("new", "old")]
    assert (new["email"], new["locale"], old["attributes"]) == (None, "de", {"plan": "team"})
    assert (await api.get("/v1/contacts/x")).status_code == 404


async def test_a_batch_is_a_thousand_at_most(api: Api) -> None:
    items = [{"id": f"c{number}"} for number in range(1_001)]
    assert (await api.call("POST", "/v1/contacts/batch", json={"contacts": items})).status_code == 422
    assert (await api.call("POST", "/v1/contacts/batch", json={"contacts": items[:1_000]})).status_code == 200
    assert len(await ids(api, limit="200")) == 200


async def test_what_is_known_of_a_contact_is_listed(api: Api, db: Database) -> None:
    sent = await sending(api, db, "email")
    await api.publish(track("other"))
    await api.enroll("user-1", "other")
    await api.event("user-1", "page.viewed", properties={"path": "/"})
    await api.event("user-1", "order.paid")
    await api.contact("user-2")
    await api.event("user-2", "order.paid")
    events = (await api.get("/v1/contacts/user-1/events")).json()["events"]
    assert [one["name"] for one in events] == ["order.paid", "page.viewed"]
    assert events[1]["properties"] == {"path": "/"}
    named = (await api.get("/v1/contacts/user-1/events", name="order.paid")).json()["events"]
    assert named == events[:1]
    everybody = (await api.get("/v1/events", name="order.paid")).json()["events"]
    assert [one["contact_id"] for one in everybody] == ["user-2", "user-1"]
    (message,) = (await api.get("/v1/contacts/user-1/messages")).json()["messages"]
    assert (message["id"], message["status"]) == (sent, "sending")
    runs = (await api.get("/v1/contacts/user-1/enrollments")).json()["enrollments"]
    assert [one["track"] for one in runs] == ["other", "welcome"]
    assert (await api.get("/v1/contacts/user-2/messages")).json() == {"messages": [], "next": None}


@pytest.mark.parametrize("what", ["events", "messages", "enrollments"])
async def test_nothing_is_listed_of_whom_nobody_knows_any_more(api: Api, what: str) -> None:
    await api.contact("user-1")
    await api.event("user-1", "order.paid")
    assert (await api.get(f"/v1/contacts/user-1/{what}")).status_code == 200
    await api.call("DELETE", "/v1/contacts/user-1")
    assert (await api.get(f"/v1/contacts/user-1/{what}")).status_code == 404


async def test_events_of_a_moment_are_paged_without_loss(api: Api) -> None:
    await api.contact("user-1")
    batch = [{"type": "track", "userId": "user-1", "event": "e", "messageId": f"m{number}"} for number in range(30)]
    assert (await api.call("POST", "/v1/batch", json={"batch": batch})).status_code == 200
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/v1/events", limit="7", **cursor)).json()
        seen += [one["event_id"] for one in page["events"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(seen) == len(set(seen)) == 30
