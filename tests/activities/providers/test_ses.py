"""The SES adapter over the real wire protocol: the provider gets exactly the given message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
import pytest_asyncio

from activities.providers.ports import OutgoingEmail
from activities.providers.provider_errors import ProviderError, Verdict
from activities.providers.ses import SesEmail
from tests.activities.activity_runner import SandboxProviders
from tests.activities.providers.raw_http_server import http, raw_server


@pytest_asyncio.fixture
async def ses(providers: SandboxProviders) -> AsyncIterator[SesEmail]:
    provider = SesEmail(
        region="us-east-1",
        configuration_set="perennial",
        endpoint_url=providers.sandbox.url,
        timeout=timedelta(seconds=0.6),
        threads=2,
    )
    yield provider
    await provider.close()


def email(**changes: Any) -> OutgoingEmail:
    given: dict[str, Any] = {
        "message_id": str(uuid4()),
        "sender": "Ada <ada@acme.test>",
        "to": f"{uuid4().hex}@quagmire.test",
        "subject": "Hello",
        "html": "<p>Hi</p>",
        "text": "Hi",
    }
    return OutgoingEmail(**(given | changes))


async def test_the_message_names_itself_in_its_tags(ses: SesEmail, providers: SandboxProviders) -> None:
    mail = email()
    provider_id = await ses.send(mail)
    (arrived,) = providers.accepted(mail.to)
    assert arrived["id"] == provider_id
    assert arrived["tags"]["perennial-message"] == mail.message_id


async def test_the_request_is_exactly_this(providers: SandboxProviders) -> None:
    mail = email(reply_to="Hélp <help@acme.test>", unsubscribe_url="https://acme.test/u/t")
    with raw_server(http("200 OK", b'{"MessageId": "p-1"}')) as (url, received):
        provider = SesEmail(region="us-east-1", configuration_set="perennial", endpoint_url=url, threads=1)
        assert await provider.send(mail) == "p-1"
        await provider.close()
    assert json.loads(received[0].partition(b"\r\n\r\n")[2]) == {
        "FromEmailAddress": "Ada <ada@acme.test>",
        "ReplyToAddresses": ["=?utf-8?b?SMOpbHA=?= <help@acme.test>"],
        "Destination": {"ToAddresses": [mail.to]},
        "ConfigurationSetName": "perennial",
        "EmailTags": [{"Name": "perennial-message", "Value": mail.message_id}],
        "Content": {
            "Simple": {
                "Subject": {"Data": "Hello", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "Hi", "Charset": "UTF-8"},
                    "Html": {"Data": "<p>Hi</p>", "Charset": "UTF-8"},
                },
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": "<https://acme.test/u/t>"},
                    {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                ],
            }
        },
    }


async def test_a_name_beyond_ascii_is_encoded_for_the_header(ses: SesEmail, providers: SandboxProviders) -> None:
    mail = email(sender="Adé Löve <ada@acme.test>")
    await ses.send(mail)
    (arrived,) = providers.accepted(mail.to)
    assert arrived["from"].isascii() and arrived["from"].endswith("<ada@acme.test>")


async def test_a_domain_beyond_ascii_goes_out_as_the_mail_system_takes_it(
    ses: SesEmail, providers: SandboxProviders
) -> None:
    name = uuid4().hex
    await ses.send(email(to=f"{name}@müller.example", reply_to="Hilfe <hilfe@bücher.test>"))
    (arrived,) = providers.accepted(f"{name}@xn--mller-kva.example")
    assert arrived["headers"]["Reply-To"] == "Hilfe <hilfe@xn--bcher-kva.test>"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"sender": "eve@evil.test"}, Verdict.GIVE_UP),
        ({"sender": "Ada <adé@acme.test>"}, Verdict.GIVE_UP),
        ({"to": "dörte@quagmire.test"}, Verdict.GIVE_UP),
        ({"to": ""}, Verdict.GIVE_UP),
        ({"to": "no address at all"}, Verdict.GIVE_UP),
    ],
    ids=["unverified sender", "sender beyond ASCII", "address beyond ASCII", "empty address", "no address"],
)
async def test_what_is_wrong_with_the_message_is_given_up(
    ses: SesEmail, changes: dict[str, str], verdict: Verdict
) -> None:
    with pytest.raises(ProviderError) as caught:
        await ses.send(email(**changes))
    assert caught.value.fault.verdict is verdict


async def test_a_missing_configuration_set_is_our_fault_and_waits_for_us(providers: SandboxProviders) -> None:
    provider = SesEmail(region="us-east-1", configuration_set="gone", endpoint_url=providers.sandbox.url, threads=1)
    with pytest.raises(ProviderError) as caught:
        await provider.send(email())
    await provider.close()
    assert caught.value.fault.verdict is Verdict.RETRY


async def test_without_credentials_nobody_loses_a_message(ses: SesEmail, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    provider = SesEmail(region="us-east-1", configuration_set="perennial", threads=1)
    with pytest.raises(ProviderError) as caught:
        await provider.send(email())
    await provider.close()
    assert caught.value.fault.verdict is Verdict.RETRY
