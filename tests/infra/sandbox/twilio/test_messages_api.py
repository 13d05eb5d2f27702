"""Twilio as its own client sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from tests.infra.sandbox.clients import twilio_client
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import AUTH_TOKEN, SandboxServer, eventually

SENDER = "+15005550006"


def text(twilio: Any, to: str, body: str = "Hi there", **more: Any) -> Any:
    return twilio.messages.create(to=to, body=body, **{"from_": SENDER, **more})


def test_a_text_is_queued_and_then_delivered(sandbox: SandboxServer, twilio: Any, number: str) -> None:
    message = text(twilio, number)
    assert (message.status, message.direction, message.error_code) == ("queued", "outbound-api", None)
    eventually(lambda: twilio.messages(message.sid).fetch().status == "delivered")
    assert abs(twilio.messages(message.sid).fetch().date_sent - datetime.now(UTC)) < timedelta(minutes=1)
    (listed,) = sandbox.messages(to=number)
    assert (listed["id"], listed["channel"], listed["text"]) == (message.sid, "sms", "Hi there")


def test_every_status_is_called_back_in_order_and_signed(receiver: Receiver, twilio: Any, number: str) -> None:
    url = f"{receiver.url}/webhooks/twilio/status/{number[1:]}?a=b"
    message = text(twilio, number, status_callback=url)
    path = url.removeprefix(receiver.url)
    eventually(lambda: [r.form()["MessageStatus"] for r in receiver.at(path)] == ["queued", "sent", "delivered"])
    validator = RequestValidator(AUTH_TOKEN)
    for request in receiver.at(path):
        assert request.form()["MessageSid"] == message.sid
        assert request.form()["To"] == number
        signature = request.headers["x-twilio-signature"]
        assert validator.validate(url, request.form(), signature)
        assert not validator.validate(url, {**request.form(), "MessageStatus": "failed"}, signature)


def test_a_number_that_cannot_be_reached_ends_undelivered(
    sandbox: SandboxServer, receiver: Receiver, twilio: Any, number: str
) -> None:
    sandbox.misbehave("twilio", "undelivered", match=number)
    url = f"{receiver.url}/status/{number[1:]}"
    message = text(twilio, number, status_callback=url)
    eventually(lambda: len(receiver.at(f"/status/{number[1:]}")) == 3)
    last = receiver.at(f"/status/{number[1:]}")[-1].form()
    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", "30003")
    assert twilio.messages(message.sid).fetch().error_code == 30003


def test_a_reply_reaches_the_application_signed(
    sandbox: SandboxServer, receiver: Receiver, twilio: Any, number: str
) -> None:
    message = text(twilio, number)
    sandbox.act(message.sid, "reply", text="Yes, please — call me")

    def arrived() -> list[Any]:
        return [r for r in receiver.at("/webhooks/twilio/inbound") if r.form()["From"] == number]

    (request,) = eventually(arrived)
    form = request.form()
    assert (form["To"], form["Body"]) == (SENDER, "Yes, please — call me")
    url = f"{receiver.url}/webhooks/twilio/inbound"
    assert RequestValidator(AUTH_TOKEN).validate(url, form, request.headers["x-twilio-signature"])
    (inbound,) = twilio.messages.list(from_=number)
    assert (inbound.direction, inbound.status) == ("inbound", "received")


def test_stop_ends_the_conversation_until_start(sandbox: SandboxServer, twilio: Any, number: str) -> None:
    message = text(twilio, number)
    sandbox.act(message.sid, "reply", text=" stop ")
    with pytest.raises(TwilioRestException) as problem:
        text(twilio, number)
    assert problem.value.code == 21610
    text(twilio, number, from_="+15005550007")
    sandbox.act(message.sid, "reply", text="START")
    text(twilio, number)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "+15005550001"}, 21211),
        ({"to": "not a number"}, 21211),
        ({"to": "+15005550009"}, 21614),
        ({"from_": "+15005550001"}, 21212),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"status_callback": "/webhooks/twilio/status"}, 21609),
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code(
    twilio: Any, number: str, change: dict[str, str], code: int
) -> None:
    with pytest.raises(TwilioRestException) as problem:
        text(twilio, **{"to": number, **change})
    assert (problem.value.status, problem.value.code) == (400, code)


def test_a_wrong_token_is_refused(sandbox: SandboxServer, number: str) -> None:
    with pytest.raises(TwilioRestException) as problem:
        text(twilio_client(sandbox.url, token="wrong"), number)
    assert (problem.value.status, problem.value.code) == (401, 20003)


def test_the_list_is_filtered_by_both_sides_and_by_date(twilio: Any, number: str) -> None:
    other = number.replace("+4179", "+4178")
    first = text(twilio, number, "one")
    text(twilio, number, "two", from_="+15005550007")
    text(twilio, other, "three")
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)

    def bodies(**query: Any) -> list[str]:
        return [m.body for m in twilio.messages.list(**query)]

    assert bodies(to=number) == ["two", "one"]
    assert bodies(to=number, from_=SENDER) == ["one"]
    assert bodies(to=number, date_sent_after=now - minute) == ["two", "one"]
    assert bodies(to=number, date_sent_after=now + minute) == []
    assert bodies(to=number, date_sent_before=now - minute) == []
    assert bodies(to=number, date_sent=now.date()) == ["two", "one"]
    assert twilio.messages(first.sid).fetch().body == "one"


def test_the_client_can_follow_the_pages(twilio: Any, number: str) -> None:
    for n in range(7):
        text(twilio, number, f"text {n}")
    found = [m.body for m in twilio.messages.stream(to=number, page_size=3)]
    assert found == [f"text {n}" for n in reversed(range(7))]


def test_an_unknown_message_is_not_found(twilio: Any) -> None:
    with pytest.raises(TwilioRestException) as problem:
        twilio.messages("SM" + "0" * 32).fetch()
    assert (problem.value.status, problem.value.code) == (404, 20404)
