"""Faults as the real clients see them, and the messages that were accepted nevertheless."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import requests
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)
from hubspot.crm import contacts as c
from twilio.base.exceptions import TwilioException, TwilioRestException
from urllib3.exceptions import HTTPError  # type: ignore[import-untyped, unused-ignore]

from tests.infra.sandbox.clients import ses_client, simple_email
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer, eventually


def test_an_email_dropped_before_is_not_accepted(
    sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    sandbox.misbehave("ses", "drop_before", match=address)
    with pytest.raises(ConnectionClosedError):
        send()
    assert sandbox.messages(to=address) == []
    send()
    assert len(sandbox.messages(to=address)) == 1


def test_an_email_dropped_after_is_accepted_and_called_back(
    sandbox: SandboxServer, receiver: Receiver, send: Callable[..., str], address: str
) -> None:
    sandbox.misbehave("ses", "drop_after", match=address)
    with pytest.raises(ConnectionClosedError):
        send()
    (message,) = sandbox.messages(to=address)
    eventually(lambda: receiver.event_types(message["id"]) == ["Send", "Delivery"])


def test_an_email_may_be_accepted_after_the_client_gave_up(sandbox: SandboxServer, address: str) -> None:
    sandbox.misbehave("ses", "latency", match=address, seconds=0.6)
    with pytest.raises(ReadTimeoutError):
        ses_client(sandbox.url, read_timeout=0.2).send_email(**simple_email(address))
    assert len(sandbox.messages(to=address, wait=5)) == 1


def test_a_call_that_hangs_goes_on_when_the_faults_are_deleted(sandbox: SandboxServer, address: str) -> None:
    sandbox.misbehave("ses", "latency", match=address, seconds=600)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(ses_client(sandbox.url, read_timeout=30).send_email, **simple_email(address))
        time.sleep(0.3)
        assert not call.done()
        sandbox.behave()
        assert call.result(10)["MessageId"]
    assert len(sandbox.messages(to=address)) == 1


def test_latency_can_come_before_another_fault(sandbox: SandboxServer, send: Callable[..., str], address: str) -> None:
    sandbox.misbehave("ses", "latency", match=address, seconds=0.3)
    sandbox.misbehave("ses", "429", match=address, retry_after=2)
    started = time.monotonic()
    with pytest.raises(ClientError) as problem:
        send()
    assert time.monotonic() - started >= 0.3
    response = problem.value.response
    assert response["Error"]["Code"] == "TooManyRequestsException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "2"


@pytest.mark.parametrize(("kind", "accepted"), [("500", 0), ("500_after", 1)])
def test_a_server_error_says_nothing_about_acceptance(
    sandbox: SandboxServer, send: Callable[..., str], address: str, kind: str, accepted: int
) -> None:
    sandbox.misbehave("ses", kind, match=address)
    with pytest.raises(ClientError) as problem:
        send()
    assert problem.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert len(sandbox.messages(to=address)) == accepted


@pytest.mark.parametrize(("kind", "accepted"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_text_can_be_found_in_twilios_list(
    sandbox: SandboxServer, twilio: Any, number: str, kind: str, accepted: int
) -> None:
    sandbox.misbehave("twilio", kind, match=number)
    with pytest.raises(requests.ConnectionError):
        twilio.messages.create(to=number, from_="+15005550006", body="Hi")
    assert len(twilio.messages.list(to=number)) == accepted


@pytest.mark.parametrize(("kind", "status", "code"), [("429", 429, 20429), ("500", 500, 20500)])
def test_twilio_refuses_in_its_own_words(
    sandbox: SandboxServer, twilio: Any, number: str, kind: str, status: int, code: int
) -> None:
    sandbox.misbehave("twilio", kind, match=number)
    with pytest.raises(TwilioRestException) as problem:
        twilio.messages.create(to=number, from_="+15005550006", body="Hi")
    assert (problem.value.status, problem.value.code) == (status, code)


def test_reading_can_fail_apart_from_sending(sandbox: SandboxServer, twilio: Any, number: str) -> None:
    sandbox.misbehave("twilio", "500", match=number, operation="read")
    twilio.messages.create(to=number, from_="+15005550006", body="Hi")
    with pytest.raises(TwilioException):
        twilio.messages.list(to=number)
    assert len(twilio.messages.list(to=number)) == 1


def test_hubspot_can_lose_its_answer(sandbox: SandboxServer, crm: Any, address: str) -> None:
    sandbox.misbehave("hubspot", "drop_after", match=address)
    given = c.SimplePublicObjectInputForCreate(properties={"email": address})
    with pytest.raises(HTTPError):
        crm.crm.contacts.basic_api.create(simple_public_object_input_for_create=given)
    contacts = sandbox.http.get("/_control/crm").json()["contacts"]
    assert [item for item in contacts if item["properties"]["email"] == address]


@pytest.mark.parametrize("kind", ["429", "500"])
def test_a_webhook_receiver_can_fail(sandbox: SandboxServer, address: str, kind: str) -> None:
    sandbox.misbehave("webhook", kind, match=address)
    assert sandbox.http.post(f"/hooks/{address}", json={"a": 1}).status_code == int(kind)
    response = sandbox.http.post(f"/hooks/{address}", json={"a": 1}, headers={"webhook-id": "msg_1"})
    assert response.status_code == 200
    held = sandbox.message(response.json()["received"])
    assert (held["channel"], held["text"]) == ("webhook", '{"a":1}')
    assert held["headers"]["webhook-id"] == "msg_1"


def test_a_callback_can_come_twice(
    sandbox: SandboxServer, receiver: Receiver, send: Callable[..., str], address: str
) -> None:
    message_id = send()
    eventually(lambda: len(receiver.events(message_id)) == 2)
    sandbox.misbehave("callback", "duplicate", match=message_id)
    sandbox.act(message_id, "open")
    eventually(lambda: receiver.event_types(message_id)[2:] == ["Open", "Open"])


def test_a_fault_strikes_as_often_as_ordered_and_only_whom_it_names(
    sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    sandbox.misbehave("ses", "500", match=address, times=2)
    send(f"not-{address.replace('person', 'somebody')}")
    for _ in range(2):
        with pytest.raises(ClientError):
            send()
    send()


def test_faults_without_end_stop_when_they_are_cleared(
    sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    sandbox.misbehave("ses", "500", match=address, times=None)
    for _ in range(3):
        with pytest.raises(ClientError):
            send()
    sandbox.behave()
    assert sandbox.http.get("/_control/faults").json() == {"faults": []}
    send()


@pytest.mark.parametrize(
    "order",
    [
        {"provider": "nobody", "kind": "500"},
        {"provider": "ses", "kind": "explode"},
        {"provider": "ses", "kind": "500", "tmes": 1},
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_what_would(sandbox: SandboxServer, order: dict[str, Any]) -> None:
    response = httpx.post(f"{sandbox.url}/_control/faults", json=order)
    assert response.status_code == 422
    assert response.json()["error"]
