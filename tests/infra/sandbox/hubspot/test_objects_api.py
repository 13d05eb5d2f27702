"""HubSpot as its own client sees it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hubspot.crm import contacts as c
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.objects import notes as n
from hubspot.crm.objects import tasks as t

from tests.sandbox_server import SandboxServer


def create(crm: Any, email: str, **properties: str) -> Any:
    given = c.SimplePublicObjectInputForCreate(properties={"email": email, **properties})
    return crm.crm.contacts.basic_api.create(simple_public_object_input_for_create=given)


def test_a_contact_is_created_changed_and_read_by_email(crm: Any, address: str) -> None:
    made = create(crm, address, firstname="Ann")
    change = c.SimplePublicObjectInput(properties={"lifecyclestage": "opportunity"})
    crm.crm.contacts.basic_api.update(address, simple_public_object_input=change, id_property="email")
    read = crm.crm.contacts.basic_api.get_by_id(made.id)
    assert read.properties["firstname"] == "Ann"
    assert read.properties["lifecyclestage"] == "opportunity"
    assert read.updated_at >= made.created_at


def test_the_same_email_twice_is_a_conflict_that_names_the_other(crm: Any, address: str) -> None:
    made = create(crm, address)
    with pytest.raises(ApiException) as problem:
        create(crm, address.upper())
    assert problem.value.status == 409
    assert f"Existing ID: {made.id}" in problem.value.body


def test_an_unknown_contact_is_not_found(crm: Any) -> None:
    with pytest.raises(ApiException) as problem:
        crm.crm.contacts.basic_api.update("99999999", simple_public_object_input={"properties": {"a": "b"}})
    assert problem.value.status == 404


def test_upserting_creates_once_and_then_changes(crm: Any, address: str) -> None:
    def upsert(stage: str) -> Any:
        item = {"id": address, "idProperty": "email", "properties": {"lifecyclestage": stage}}
        given = c.BatchInputSimplePublicObjectBatchInputUpsert(inputs=[item])
        answer = crm.crm.contacts.batch_api.upsert(batch_input_simple_public_object_batch_input_upsert=given)
        return answer.results[0]

    first, second = upsert("lead"), upsert("customer")
    assert first.new is True
    assert second.new is False
    assert first.id == second.id
    assert second.properties["lifecyclestage"] == "customer"


def test_contacts_are_found_by_a_property(crm: Any, address: str) -> None:
    made = create(crm, address, company="Acme")
    request = c.PublicObjectSearchRequest(
        filter_groups=[{"filters": [{"propertyName": "email", "operator": "EQ", "value": address}]}]
    )
    found = crm.crm.contacts.search_api.do_search(public_object_search_request=request)
    assert (found.total, [item.id for item in found.results]) == (1, [made.id])


def test_notes_and_tasks_hang_on_their_contact(sandbox: SandboxServer, crm: Any, address: str) -> None:
    contact = create(crm, address)
    now = str(int(time.time() * 1000))

    def on_contact(number: int) -> list[dict[str, Any]]:
        kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}
        return [{"to": {"id": contact.id}, "types": [kind]}]

    note = crm.crm.objects.notes.basic_api.create(
        simple_public_object_input_for_create=n.SimplePublicObjectInputForCreate(
            properties={"hs_note_body": "Clicked the offer", "hs_timestamp": now}, associations=on_contact(202)
        )
    )
    task = crm.crm.objects.tasks.basic_api.create(
        simple_public_object_input_for_create=t.SimplePublicObjectInputForCreate(
            properties={"hs_task_subject": "Call", "hs_timestamp": now}, associations=on_contact(204)
        )
    )
    everything = sandbox.http.get("/_control/crm").json()
    held = next(item for item in everything["contacts"] if item["id"] == contact.id)
    assert held["associations"] == [f"notes/{note.id}", f"tasks/{task.id}"]


def test_objects_can_be_associated_afterwards(crm: Any, address: str) -> None:
    contact = create(crm, address)
    note = crm.crm.objects.notes.basic_api.create(
        simple_public_object_input_for_create=n.SimplePublicObjectInputForCreate(
            properties={"hs_note_body": "x", "hs_timestamp": "1"}
        )
    )
    crm.crm.associations.v4.basic_api.create_default("notes", note.id, "contacts", contact.id)
    page = crm.crm.associations.v4.basic_api.get_page("notes", note.id, "contacts")
    assert [item.to_object_id for item in page.results] == [contact.id]


def test_being_throttled_looks_like_hubspots_limit(sandbox: SandboxServer, crm: Any, address: str) -> None:
    sandbox.misbehave("hubspot", "429", match=address, retry_after=3)
    with pytest.raises(ApiException) as problem:
        create(crm, address)
    assert (problem.value.status, problem.value.headers["retry-after"]) == (429, "3")
    create(crm, address)
