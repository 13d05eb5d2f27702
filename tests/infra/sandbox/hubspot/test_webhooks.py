"""The sandbox's webhooks as HubSpot's own library sees them."""

from __future__ import annotations

import json
from typing import Any

from hubspot.utils.signature import Signature

from infra.sandbox.core.options import Options
from tests.infra.sandbox.receiver import Received, Receiver
from tests.sandbox_server import SandboxServer, eventually

ADDRESS = {"Authorization": "Bearer x"}


def act(sandbox: SandboxServer, action: str, **more: Any) -> str:
    """What a salesperson does: the object's id."""
    answer = sandbox.http.post("/_control/hubspot", json={"action": action, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def events(call: Received) -> list[dict[str, Any]]:
    """The events of a call."""
    found: list[dict[str, Any]] = json.loads(call.body)
    return found


def calls_about(receiver: Receiver, key: str, number: int) -> list[Received]:
    """The calls with events of this object, in the order of arrival, once there are so many."""

    def found() -> list[Received]:
        calls = [call for call in receiver.at("/webhooks/hubspot") if str(events(call)[0]["objectId"]) == key]
        return calls if len(calls) >= number else []

    calls: list[Received] = eventually(found)
    return calls


def test_a_persons_change_is_signed_so_that_hubspots_library_takes_it(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    key = act(sandbox, "create", properties={"email": "signed@people.test", "lifecyclestage": "lead", "city": "Bern"})
    (call,) = calls_about(receiver, key, 1)
    signature, timestamp = call.headers["x-hubspot-signature-v3"], call.headers["x-hubspot-request-timestamp"]
    url = f"{receiver.url}/webhooks/hubspot"
    asked: dict[str, Any] = {"http_uri": url, "signature_version": "v3", "timestamp": timestamp}
    secret, body = Options.hubspot_client_secret, call.body.decode()
    assert Signature.is_valid(signature, secret, body, **asked)
    for other in ((secret, body + " "), ("another", body)):
        assert not Signature.is_valid(signature, *other, **asked)
    told = [(one["propertyName"], one["propertyValue"], one["changeSource"]) for one in events(call)]
    assert told == [("email", "signed@people.test", "CRM_UI"), ("lifecyclestage", "lead", "CRM_UI")]


def test_changes_by_the_api_are_sent_as_an_integrations(sandbox: SandboxServer, receiver: Receiver) -> None:
    body = {"properties": {"email": "api@people.test", "lifecyclestage": "lead"}}
    key = sandbox.http.post("/crm/v3/objects/contacts", json=body, headers=ADDRESS).json()["id"]
    act(sandbox, "change", contact="api@people.test", properties={"lifecyclestage": "lead"})  # nothing new
    act(sandbox, "change", contact=key, properties={"lifecyclestage": "customer"})
    first, second = calls_about(receiver, key, 2)
    assert {(one["changeSource"], one["sourceId"]) for one in events(first)} == {("INTEGRATION", "54321")}
    (event,) = events(second)
    assert (event["appId"], event["propertyValue"], event["sourceId"]) == (54321, "customer", "userId:1001")
    assert event["occurredAt"] > events(first)[0]["occurredAt"]


def test_tasks_deletions_and_merges_are_sent_in_hubspots_form(sandbox: SandboxServer, receiver: Receiver) -> None:
    one, other = (act(sandbox, "create", properties={"email": f"{name}@people.test"}) for name in ("one", "other"))
    task = {"properties": {"hs_timestamp": "2026-11-28T12:00:00Z", "hs_task_subject": "Call"}}
    key = sandbox.http.post("/crm/v3/objects/tasks", json=task, headers=ADDRESS).json()["id"]
    act(sandbox, "complete", task=key)
    (done,) = events(calls_about(receiver, key, 1)[-1])
    assert (done["subscriptionType"], done["objectTypeId"], done["propertyValue"]) == (
        "object.propertyChange",
        "0-27",
        "COMPLETED",
    )
    act(sandbox, "merge", contact=other, into=one)
    act(sandbox, "erase", contact=one)
    merged = [events(call)[0] for call in calls_about(receiver, one, 3)]
    assert [event["subscriptionType"] for event in merged[1:]] == ["contact.merge", "contact.privacyDeletion"]
    assert (merged[1]["primaryObjectId"], merged[1]["mergedObjectIds"]) == (int(one), [int(other)])
    for wrong in ({"action": "fly", "contact": one}, {"action": "change"}, {"action": "complete", "task": "9999"}):
        assert sandbox.http.post("/_control/hubspot", json=wrong).status_code == 422
