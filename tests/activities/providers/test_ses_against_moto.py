"""The SES adapter against moto, a mock of SES that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import httpx
import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer

from activities.providers.ports import OutgoingEmail
from activities.providers.provider_errors import ProviderError, Verdict
from activities.providers.ses import SesEmail


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "moto")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest_asyncio.fixture
async def ses(moto_url: str) -> AsyncIterator[SesEmail]:
    client = boto3.client("sesv2", endpoint_url=moto_url, region_name="us-east-1")
    client.create_email_identity(EmailIdentity="acme.test")
    provider = SesEmail(region="us-east-1", configuration_set="perennial", endpoint_url=moto_url, threads=2)
    yield provider
    await provider.close()


def email(**changes: Any) -> OutgoingEmail:
    given: dict[str, Any] = {
        "message_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "sender": "Ada <ada@acme.test>",
        "to": "zeb@quagmire.test",
        "subject": "Grüße",
        "html": "<p>Hallo</p>",
        "text": "Hallo",
        "unsubscribe_url": "https://acme.test/u/t",
    }
    return OutgoingEmail(**(given | changes))


def sent(moto_url: str, provider_id: str) -> dict[str, Any]:
    data = httpx.get(f"{moto_url}/moto-api/data.json").json()
    (found,) = [message for message in data["ses"]["Message"] if message["id"] == provider_id]
    return dict(found)


async def test_an_email_is_accepted_whole(ses: SesEmail, moto_url: str) -> None:
    message = sent(moto_url, await ses.send(email()))
    assert message["destinations"]["ToAddresses"] == ["zeb@quagmire.test"]
    assert message["subject"] == "Grüße"


async def test_an_email_of_text_alone_is_accepted(ses: SesEmail, moto_url: str) -> None:
    assert await ses.send(email(html=""))


async def test_a_sender_that_is_not_verified_is_given_up(ses: SesEmail) -> None:
    with pytest.raises(ProviderError) as caught:
        await ses.send(email(sender="eve@evil.test"))
    assert caught.value.fault.code == "MessageRejected"
    assert caught.value.fault.verdict is Verdict.GIVE_UP
