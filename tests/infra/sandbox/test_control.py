"""The sandbox's control interface: read accepted messages, and act for people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.sandbox.clients import simple_email
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer, eventually


def test_waiting_for_a_message_ends_when_it_comes(
    sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    threading.Timer(0.3, send).start()
    started = time.monotonic()
    assert len(sandbox.messages(to=address, wait=20)) == 1
    assert time.monotonic() - started < 10


def test_messages_are_read_onwards_from_a_place(sandbox: SandboxServer, send: Callable[..., str], address: str) -> None:
    ids = [send() for _ in range(4)]
    found = sandbox.messages(to=address)
    assert [m["id"] for m in found] == ids
    assert [m["id"] for m in sandbox.messages(to=address, after=found[1]["seq"])] == ids[2:]
    assert [m["id"] for m in sandbox.messages(to=address, limit=1)] == ids[:1]
    assert sandbox.messages(to=address, channel="sms") == []


@pytest.mark.parametrize("link", [0, "https://acme.test/start?a=1&b=2", "/start", None])
def test_a_link_is_meant_by_number_address_part_or_not_at_all(
    sandbox: SandboxServer, send: Callable[..., str], link: object
) -> None:
    assert sandbox.act(send(), "click", link=link)["link"] == "https://acme.test/start?a=1&b=2"


def test_the_default_link_is_not_the_one_for_leaving(sandbox: SandboxServer, ses: Any, address: str) -> None:
    email = simple_email(address)
    leaving = '<a href="https://acme.test/u/token">Unsubscribe</a>'
    email["Content"]["Simple"]["Body"]["Html"]["Data"] = leaving + '<a href="https://acme.test/go">Go</a>'
    message_id = ses.send_email(**email)["MessageId"]
    assert sandbox.act(message_id, "click")["link"] == "https://acme.test/go"


def test_unsubscribing_posts_one_click_to_the_header(
    sandbox: SandboxServer, receiver: Receiver, ses: Any, address: str
) -> None:
    email = simple_email(address)
    path = f"/u/{address}"
    email["Content"]["Simple"]["Headers"][0]["Value"] = f"<mailto:out@acme.test>, <{receiver.url}{path}>"
    message_id = ses.send_email(**email)["MessageId"]
    assert sandbox.act(message_id, "unsubscribe") == {
        "message": message_id,
        "action": "unsubscribe",
        "status": 200,
        "url": receiver.url + path,
    }
    (request,) = receiver.at(path)
    assert request.form() == {"List-Unsubscribe": "One-Click"}
    assert "unsubscribe" in [e["type"] for e in sandbox.message(message_id)["events"]]


def test_complaining_is_told_and_suppresses(
    sandbox: SandboxServer, receiver: Receiver, ses: Any, send: Callable[..., str], address: str
) -> None:
    message_id = send()
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery"])
    sandbox.act(message_id, "complain")
    eventually(lambda: receiver.event_types(message_id)[2:] == ["Complaint"])
    assert ses.get_suppressed_destination(EmailAddress=address)["SuppressedDestination"]["Reason"] == "COMPLAINT"


@pytest.mark.parametrize(
    ("action", "more", "status"),
    [
        ("dance", {}, 422),
        ("reply", {"text": "emails are not answered here"}, 422),
        ("click", {"link": 7}, 422),
        ("click", {"link": "nowhere"}, 422),
        ("bounce", {"bounce_type": "Rubber"}, 422),
    ],
)
def test_an_action_that_cannot_be_is_refused_and_changes_nothing(
    sandbox: SandboxServer, send: Callable[..., str], action: str, more: dict[str, Any], status: int
) -> None:
    message_id = send()
    response = sandbox.http.post("/_control/actions", json={"message": message_id, "action": action, **more})
    assert response.status_code == status
    assert response.json()["error"]
    assert {e["type"] for e in sandbox.message(message_id)["events"]} <= {"send", "delivery"}


def test_an_unknown_message_is_not_found(sandbox: SandboxServer) -> None:
    assert sandbox.http.post("/_control/actions", json={"message": "x", "action": "open"}).status_code == 404
    assert sandbox.http.get("/_control/messages/x").status_code == 404


@pytest.mark.parametrize("body", ["", "[]", "{"])
def test_a_body_that_is_no_object_is_refused(sandbox: SandboxServer, body: str) -> None:
    for path in ("/_control/actions", "/_control/faults", "/_control/identities"):
        assert sandbox.http.post(path, content=body).status_code == 422


def test_health_answers(sandbox: SandboxServer) -> None:
    assert sandbox.http.get("/healthz").json()["status"] == "ok"


def test_people_fetch_the_applications_links_and_pictures_as_a_browser_does(
    sandbox: SandboxServer, receiver: Receiver, ses: Any, address: str
) -> None:
    email = simple_email(address)
    body = f'<a href="{receiver.url}/c/{address}">Go</a><img src="{receiver.url}/o/{address}">'
    email["Content"]["Simple"]["Body"]["Html"]["Data"] = body
    message_id = ses.send_email(**email)["MessageId"]
    sandbox.act(message_id, "open")
    sandbox.act(message_id, "click")
    for path in (f"/o/{address}", f"/c/{address}"):
        (request,) = receiver.at(path)
        assert request.headers["user-agent"].startswith("Mozilla/5.0 (X11")
