"""SES v2 as boto3 sees it."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.infra.sandbox.clients import simple_email
from tests.sandbox_server import SandboxServer


def code_of(problem: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = problem.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_accepted_email_keeps_subject_parts_headers_tags_and_links(
    sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    message_id = send()

    (listed,) = sandbox.messages(to=address)
    assert listed["id"] == message_id
    assert (listed["channel"], listed["from"], listed["to"]) == ("email", "Ada <ada@acme.test>", address)
    assert listed["subject"] == "Grüezi & welcome"
    assert listed["tags"] == {"perennial-message": "0190-ab_c"}
    assert listed["headers"]["List-Unsubscribe"] == "<https://acme.test/u/token>"
    assert [link["url"] for link in listed["links"]] == ["https://acme.test/start?a=1&b=2"]
    assert "html" not in listed
    full = sandbox.message(message_id)
    assert full["html"].startswith("<p>Hi.")
    assert full["text"].startswith("Hi.")


def test_a_raw_message_is_read_like_a_simple_one(sandbox: SandboxServer, ses: Any, address: str) -> None:
    raw = EmailMessage()
    raw["From"] = "Ada <ada@acme.test>"
    raw["To"] = address
    raw["Subject"] = "Grüezi"
    raw["List-Unsubscribe"] = "<https://acme.test/u/1>"
    raw.set_content("plain")
    raw.add_alternative("<b>rich</b>", subtype="html")

    message_id = ses.send_email(Content={"Raw": {"Data": raw.as_bytes()}})["MessageId"]

    full = sandbox.message(message_id)
    assert (full["to"], full["subject"]) == (address, "Grüezi")
    assert (full["text"].strip(), full["html"].strip()) == ("plain", "<b>rich</b>")
    assert full["headers"]["List-Unsubscribe"] == "<https://acme.test/u/1>"


def test_a_display_name_does_not_hide_the_recipient(
    sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    send(f"Somebody Else <{address.upper()}>")
    assert len(sandbox.messages(to=address)) == 1


def test_an_unverified_sender_is_rejected(sandbox: SandboxServer, ses: Any, address: str) -> None:
    with pytest.raises(ClientError) as problem:
        ses.send_email(**simple_email(address, FromEmailAddress="eve@other.test"))
    assert code_of(problem) == ("MessageRejected", 400)
    assert "eve@other.test" in str(problem.value)
    assert sandbox.messages(to=address) == []


def test_an_unknown_configuration_set_is_refused(ses: Any, address: str) -> None:
    with pytest.raises(ClientError) as problem:
        ses.send_email(**simple_email(address, ConfigurationSetName="nowhere"))
    assert code_of(problem) == ("NotFoundException", 404)


@pytest.mark.parametrize(
    "change",
    [
        {"Destination": {"ToAddresses": []}},
        {"Destination": {"ToAddresses": ["not an address"]}},
        {"Destination": {"ToAddresses": [f"a{n}@example.com" for n in range(51)]}},
        {"EmailTags": [{"Name": "tag", "Value": "spaces are not allowed"}]},
        {"EmailTags": [{"Name": "tag", "Value": "1"}, {"Name": "tag", "Value": "2"}]},
        {"FromEmailAddress": "nobody"},
        {"Destination": {"ToAddresses": ["ann@müller.example"]}},
        {"Destination": {"ToAddresses": ["dörte@example.com"]}},
        {"Destination": {"ToAddresses": ["o\u2019hara@example.com"]}},
        {"Destination": {"ToAddresses": [".ann@example.com"]}},
        {"Destination": {"ToAddresses": ["ann..b@example.com"]}},
        {"Destination": {"ToAddresses": ["ann@exa_mple.com"]}},
        {"ReplyToAddresses": ["hilfe@bücher.test"]},
        {"FromEmailAddress": "Ada <ada@äcme.test>"},
    ],
)
def test_what_ses_refuses_is_refused(ses: Any, address: str, change: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as problem:
        ses.send_email(**simple_email(address, **change))
    assert code_of(problem) == ("BadRequestException", 400)


@pytest.mark.parametrize(("name", "value"), [("X-B", "é"), ("X-B", "x\r\nY: z"), ("X" * 100, "x" * 897)])
def test_a_header_that_ses_refuses_is_refused(ses: Any, address: str, name: str, value: str) -> None:
    def content(header: dict[str, str]) -> dict[str, Any]:
        return {"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}, "Headers": [header]}}

    ses.send_email(**simple_email(address, Content=content({"Name": name, "Value": "x"})))
    with pytest.raises(ClientError) as problem:
        ses.send_email(**simple_email(address, Content=content({"Name": name, "Value": value})))
    assert code_of(problem) == ("BadRequestException", 400)


@pytest.mark.parametrize(
    "body",
    [
        {"Content": {}, "Surprise": 1},
        {"FromEmailAddress": "a@acme.test"},
        {"Content": {"Simple": {"Subject": {"Data": 3}, "Body": {"Text": {"Data": "x"}}}}},
        {"Content": {"Simple": {"Subject": {"Data": "x"}, "Body": {}, "Headers": [{"Name": "B d", "Value": "x"}]}}},
    ],
)
def test_a_body_outside_of_amazons_model_is_refused_without_a_client_to_stop_it(
    sandbox: SandboxServer, body: dict[str, Any]
) -> None:
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    response = sandbox.http.post("/v2/email/outbound-emails", json=body, headers=headers)
    assert response.status_code == 400
    assert response.headers["x-amzn-errortype"] == "BadRequestException"


def test_a_request_without_credentials_is_refused(sandbox: SandboxServer) -> None:
    response = httpx.post(f"{sandbox.url}/v2/email/outbound-emails", json={})
    assert response.status_code == 403
    assert response.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


def test_an_identity_may_send_once_it_is_verified(sandbox: SandboxServer, ses: Any, address: str) -> None:
    domain = f"{address.partition('@')[0]}.test"
    ses.create_email_identity(EmailIdentity=domain)
    assert ses.get_email_identity(EmailIdentity=domain)["VerifiedForSendingStatus"] is False
    with pytest.raises(ClientError):
        ses.send_email(**simple_email(address, FromEmailAddress=f"a@{domain}"))

    sandbox.http.post("/_control/identities", json={"identity": domain}).raise_for_status()

    assert ses.get_email_identity(EmailIdentity=domain)["VerificationStatus"] == "SUCCESS"
    assert domain in [i["IdentityName"] for i in ses.list_email_identities()["EmailIdentities"]]
    ses.send_email(**simple_email(address, FromEmailAddress=f"a@mail.{domain}"))
    ses.delete_email_identity(EmailIdentity=domain)
    with pytest.raises(ClientError) as problem:
        ses.get_email_identity(EmailIdentity=domain)
    assert code_of(problem) == ("NotFoundException", 404)


def test_the_suppression_list_can_be_read_and_changed(ses: Any, address: str) -> None:
    ses.put_suppressed_destination(EmailAddress=address, Reason="COMPLAINT")
    held = ses.get_suppressed_destination(EmailAddress=address.upper())["SuppressedDestination"]
    assert held["Reason"] == "COMPLAINT"
    assert held["LastUpdateTime"].year >= 2026
    listed = ses.list_suppressed_destinations(Reasons=["COMPLAINT"])["SuppressedDestinationSummaries"]
    assert address in [item["EmailAddress"] for item in listed]
    ses.delete_suppressed_destination(EmailAddress=address)
    with pytest.raises(ClientError) as problem:
        ses.get_suppressed_destination(EmailAddress=address)
    assert code_of(problem) == ("NotFoundException", 404)


def test_the_account_has_a_quota(ses: Any) -> None:
    account = ses.get_account()
    assert account["ProductionAccessEnabled"] is True
    assert account["SendQuota"]["MaxSendRate"] > 0


def test_an_operation_that_the_sandbox_lacks_says_so(ses: Any) -> None:
    with pytest.raises(ClientError) as problem:
        ses.list_dedicated_ip_pools()
    assert code_of(problem) == ("UnknownOperationException", 501)
