"""SES events through SNS: confirmed, signed, tagged, complete."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.infra.sandbox.clients import ses_client, simple_email
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer, eventually


def verify(envelope: dict[str, Any]) -> None:
    """Verify a signature as Amazon's documentation says. Raises InvalidSignature."""
    if envelope["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    certificate = x509.load_pem_x509_certificate(httpx.get(envelope["SigningCertURL"]).content)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[envelope["SignatureVersion"]]
    key.verify(base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), digest)


def test_a_sent_email_is_reported_sent_and_then_delivered_with_its_tags(
    receiver: Receiver, send: Callable[..., str], address: str
) -> None:
    message_id = send()
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery"])
    sent, delivered = receiver.events(message_id)
    for event in (sent, delivered):
        assert event["mail"]["tags"]["perennial-message"] == ["0190-ab_c"]
        assert event["mail"]["tags"]["ses:configuration-set"] == ["perennial"]
        assert event["mail"]["destination"] == [address]
    assert sent["send"] == {}
    assert delivered["delivery"]["recipients"] == [address]


def test_notifications_carry_a_signature_that_breaks_with_every_change(
    receiver: Receiver, send: Callable[..., str]
) -> None:
    message_id = send()
    eventually(lambda: receiver.events(message_id))
    envelope = next(e for e in receiver.notifications() if message_id in e["Message"])
    verify(envelope)
    for name in ("Message", "MessageId", "Subject", "Timestamp", "TopicArn"):
        with pytest.raises(InvalidSignature):
            verify({**envelope, name: envelope[name] + "x"})


def test_the_older_signature_version_is_spoken_too(receiver: Receiver, tmp_path: Path, address: str) -> None:
    arguments = ("--sns-signature-version", "1")
    with SandboxServer(tmp_path, callback_base=receiver.url, arguments=arguments) as server:
        message_id = ses_client(server.url).send_email(**simple_email(address))["MessageId"]
        eventually(lambda: receiver.events(message_id))
        envelope = next(e for e in receiver.notifications() if message_id in e["Message"])
        assert envelope["SignatureVersion"] == "1"
        verify(envelope)


def test_nothing_is_told_before_the_subscription_is_confirmed_and_everything_after(
    tmp_path: Path, address: str
) -> None:
    receiver = Receiver()
    receiver.confirming = False
    with SandboxServer(tmp_path, callback_base=receiver.url) as server:
        message_id = ses_client(server.url).send_email(**simple_email(address))["MessageId"]
        eventually(lambda: receiver.at("/webhooks/ses"))
        eventually(lambda: server.message(message_id)["events"][-1]["type"] == "delivery")
        request = receiver.at("/webhooks/ses")[0]
        assert request.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        assert request.headers["content-type"].startswith("text/plain")
        verify(request.json())
        assert receiver.notifications() == []

        httpx.get(request.json()["SubscribeURL"]).raise_for_status()

        eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery"])
    receiver.stop()


def test_the_simulators_bounce_address_bounces_without_being_suppressed(
    receiver: Receiver, ses: Any, send: Callable[..., str]
) -> None:
    message_id = send("bounce+label@simulator.amazonses.com")
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Bounce"])
    bounce = receiver.events(message_id)[-1]["bounce"]
    assert (bounce["bounceType"], bounce["bounceSubType"]) == ("Permanent", "General")
    assert bounce["bouncedRecipients"][0]["emailAddress"] == "bounce+label@simulator.amazonses.com"
    again = send("bounce+label@simulator.amazonses.com")
    eventually(lambda: receiver.events(again)[1:])
    assert receiver.events(again)[-1]["bounce"]["bounceSubType"] == "General"


def test_the_simulators_complaint_address_complains_after_delivery(
    receiver: Receiver, send: Callable[..., str]
) -> None:
    message_id = send("complaint@simulator.amazonses.com")
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery", "Complaint"])
    complaint = receiver.events(message_id)[-1]["complaint"]
    assert complaint["complaintFeedbackType"] == "abuse"


def test_an_address_that_bounced_is_held_back_by_the_account_from_then_on(
    sandbox: SandboxServer, receiver: Receiver, ses: Any, send: Callable[..., str], address: str
) -> None:
    sandbox.act(send(), "bounce")
    assert ses.get_suppressed_destination(EmailAddress=address)["SuppressedDestination"]["Reason"] == "BOUNCE"
    message_id = send()
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Bounce"])
    assert receiver.events(message_id)[-1]["bounce"]["bounceSubType"] == "OnAccountSuppressionList"


def test_a_transient_bounce_suppresses_nobody(
    sandbox: SandboxServer, receiver: Receiver, send: Callable[..., str]
) -> None:
    sandbox.act(send(), "bounce", bounce_type="Transient")
    message_id = send()
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery"])


def test_opening_and_clicking_over_http_is_told_with_the_link(
    sandbox: SandboxServer, receiver: Receiver, send: Callable[..., str]
) -> None:
    message_id = send()
    page = sandbox.http.get(f"/m/{message_id}/html").text
    pixel = page.split('<img src="')[1].split('"')[0]
    tracked = sandbox.message(message_id)["links"][0]["tracked"]
    assert tracked.removeprefix(sandbox.url) in page

    assert sandbox.http.get(pixel).headers["content-type"] == "image/gif"
    response = sandbox.http.get(tracked, headers={"user-agent": "Somebody's phone"})

    assert (response.status_code, response.headers["location"]) == (302, "https://acme.test/start?a=1&b=2")
    eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery", "Open", "Click"])
    click = receiver.events(message_id)[-1]
    assert click["click"]["link"] == "https://acme.test/start?a=1&b=2"
    assert click["click"]["userAgent"] == "Somebody's phone"
    assert click["mail"]["tags"]["perennial-message"] == ["0190-ab_c"]


def test_a_configuration_set_of_ones_own_tells_only_what_its_destination_asks_for(
    receiver: Receiver, ses: Any, send: Callable[..., str], address: str
) -> None:
    name = f"set-{address.partition('@')[0]}"
    topic = f"arn:aws:sns:us-east-1:000000000000:{name}"
    ses.create_configuration_set(ConfigurationSetName=name)
    ses.create_configuration_set_event_destination(
        ConfigurationSetName=name,
        EventDestinationName="clicks",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": ["DELIVERY"],
            "SnsDestination": {"TopicArn": topic},
        },
    )
    (destination,) = ses.get_configuration_set_event_destinations(ConfigurationSetName=name)["EventDestinations"]
    assert destination["SnsDestination"] == {"TopicArn": topic}
    assert name in ses.list_configuration_sets()["ConfigurationSets"]

    message_id = send(ConfigurationSetName=name)

    eventually(lambda: receiver.event_types(message_id) == ["Delivery"])
    envelope = next(e for e in receiver.notifications() if json.loads(e["Message"])["mail"]["messageId"] == message_id)
    assert envelope["TopicArn"] == topic


def test_an_email_without_a_configuration_set_is_reported_to_nobody(
    sandbox: SandboxServer, receiver: Receiver, ses: Any, address: str
) -> None:
    arguments = simple_email(address)
    del arguments["ConfigurationSetName"]
    message_id = ses.send_email(**arguments)["MessageId"]
    eventually(lambda: sandbox.message(message_id)["events"][-1]["type"] == "delivery")
    eventually(lambda: sandbox.callbacks()["waiting"] <= 1)
    assert receiver.events(message_id) == []
