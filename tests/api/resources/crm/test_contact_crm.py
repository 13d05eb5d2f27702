"""A contact's stage, fields and notes: read, set, told to tracks."""

from __future__ import annotations

from store.engine.database import Database
from tests.api.client import Api
from tests.api.crm_calls import make_task
from tests.api.messages import rows


async def test_stage_fields_and_notes_are_set_and_read(api: Api, db: Database) -> None:
    await api.contact("ann", attributes={"plan": "pro"})
    empty = (await api.get("/v1/contacts/ann/crm")).json()
    assert empty == {"contact_id": "ann", "stage": None, "fields": {}, "notes": [], "tasks": []}
    for _ in range(2):
        assert (await api.call("PUT", "/v1/contacts/ann/crm/stage", json={"stage": "lead"})).status_code == 200
        assert (await api.call("PUT", "/v1/contacts/ann/crm/fields", json={"fields": {"seats": 5}})).status_code == 200
        note = {"body": "Called", "author": "ada", "id": "n-1"}
        assert (await api.call("POST", "/v1/contacts/ann/crm/notes", json=note)).status_code == 201
    await api.call("POST", "/v1/contacts/ann/crm/notes", json={"body": "Again"})
    await make_task(db, "ann")
    card = (await api.get("/v1/contacts/ann/crm")).json()
    assert (card["stage"], card["fields"]) == ("lead", {"seats": 5})
    assert [(note["body"], note["author"]) for note in card["notes"]] == [("Again", None), ("Called", "ada")]
    assert [task["title"] for task in card["tasks"]] == ["Call"]
    attributes = (await api.get("/v1/contacts/ann")).json()["attributes"]
    assert attributes == {"plan": "pro", "crm_stage": "lead", "crm_seats": 5}
    assert sorted(await rows(db, "SELECT name FROM event")) == [("crm.field_changed",), ("crm.stage_changed",)]


async def test_a_persons_change_begins_a_track_and_goes_on_with_it(api: Api, db: Database) -> None:
    await api.publish(
        "track: opened\nentry: {event: crm.stage_changed}\nsteps:\n"
        "  - id: sold\n    wait_for: {event: crm.stage_changed, within: 30d, then: [], else: []}\n"
    )
    await api.contact("ann")
    await api.call("PUT", "/v1/contacts/ann/crm/stage", json={"stage": "lead"})
    await api.call("PUT", "/v1/contacts/ann/crm/stage", json={"stage": "opportunity"})
    assert await rows(db, "SELECT kind FROM outbox WHERE enrollment_id IS NOT NULL ORDER BY id") == [
        ("start",),
        ("event",),
    ]


async def test_what_is_wrong_is_refused(api: Api) -> None:
    await api.contact("ann")
    for method, path, body, status in (
        ("PUT", "ann/crm/stage", {}, 422),
        ("PUT", "ann/crm/stage", {"stage": ""}, 422),
        ("PUT", "ann/crm/stage", {"stage": None}, 200),
        ("PUT", "ann/crm/fields", {"fields": {}}, 422),
        ("PUT", "ann/crm/fields", {"fields": {"": 1}}, 422),
        ("POST", "ann/crm/notes", {"body": ""}, 422),
        ("PUT", "nobody/crm/stage", {"stage": "x"}, 404),
        ("PUT", "nobody/crm/fields", {"fields": {"a": 1}}, 404),
        ("POST", "nobody/crm/notes", {"body": "x"}, 404),
        ("GET", "nobody/crm", None, 404),
    ):
        answer = await api.call(method, f"/v1/contacts/{path}", json=body)
        assert answer.status_code == status, (path, body, answer.text)
