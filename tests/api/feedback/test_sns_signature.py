"""SNS messages are accepted only if Amazon signed them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from api.feedback.sns_signature import CertificateUnavailableError, ForgedError, SnsVerifier
from tests.api.sns import AMAZON, CERTIFICATE, TOPIC, Signer


@pytest.fixture
async def client(signer: Signer) -> AsyncIterator[httpx.AsyncClient]:
    signer.visited.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signer.app)) as client:
        yield client


@pytest.fixture
def verifier(client: httpx.AsyncClient) -> SnsVerifier:
    return SnsVerifier(client, sandbox="http://127.0.0.1:4579/sns", topics=())


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_signed_notification_is_believed(signer: Signer, verifier: SnsVerifier, version: str) -> None:
    await verifier.verify(signer.notification({"eventType": "Open"}, version=version))


async def test_a_subject_is_part_of_what_is_signed(signer: Signer, verifier: SnsVerifier) -> None:
    message = signer.notification({"eventType": "Open"}, Subject="Amazon SES Email Event Notification")
    await verifier.verify(message)
    with pytest.raises(ForgedError):
        await verifier.verify(message | {"Subject": "another"})


async def test_the_certificate_is_fetched_once(signer: Signer, verifier: SnsVerifier) -> None:
    for number in range(5):
        await verifier.verify(signer.notification({"number": number}))
    assert signer.visited == [CERTIFICATE]


@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "TopicArn"])
async def test_a_changed_field_is_forged(signer: Signer, verifier: SnsVerifier, field: str) -> None:
    message = signer.notification({"eventType": "Click"})
    with pytest.raises(ForgedError):
        await verifier.verify(message | {field: message[field] + "x"})


async def test_a_signature_of_another_key_is_forged(verifier: SnsVerifier) -> None:
    with pytest.raises(ForgedError):
        await verifier.verify(Signer().notification({"eventType": "Click"}))


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-west-1.amazonaws.com.evil.test/SimpleNotificationService-00.pem",
        "https://evil.test/sns.eu-west-1.amazonaws.com/SimpleNotificationService-00.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-00.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-00.pem",
        "https://evil@sns.eu-west-1.amazonaws.com/SimpleNotificationService-00.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-00.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&x=.pem",
        "http://127.0.0.1:4580/sns/cert.pem",
        "file:///etc/ssl/cert.pem",
        "https://[",
        "",
    ],
)
async def test_a_certificate_from_elsewhere_is_not_even_fetched(
    signer: Signer, verifier: SnsVerifier, url: str
) -> None:
    with pytest.raises(ForgedError):
        await verifier.verify(signer.notification({"eventType": "Open"}, SigningCertURL=url))
    assert signer.visited == []


async def test_the_sandbox_is_trusted_where_it_is_configured(
    signer: Signer, verifier: SnsVerifier, client: httpx.AsyncClient
) -> None:
    message = signer.notification({"eventType": "Open"}, SigningCertURL="http://127.0.0.1:4579/sns/cert.pem")
    await verifier.verify(message)
    with pytest.raises(ForgedError):
        await SnsVerifier(client, sandbox=None).verify(message)


async def test_only_the_configured_topics_are_believed(signer: Signer, client: httpx.AsyncClient) -> None:
    verifier = SnsVerifier(client, sandbox=None, topics=(TOPIC,))
    await verifier.verify(signer.notification({}))
    with pytest.raises(ForgedError):
        await verifier.verify(signer.notification({}, TopicArn=TOPIC + "-of-a-stranger"))


async def test_a_certificate_past_its_date_is_refused() -> None:
    signer = Signer(expired=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signer.app)) as client:
        with pytest.raises(ForgedError):
            await SnsVerifier(client, sandbox=None).verify(signer.notification({}))


async def test_a_certificate_that_cannot_be_had_now_is_no_forgery(signer: Signer) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        verifier = SnsVerifier(client, sandbox="http://127.0.0.1:9")
        with pytest.raises(CertificateUnavailableError):
            await verifier.verify(signer.notification({}, SigningCertURL="http://127.0.0.1:9/cert.pem"))


async def test_a_subscription_is_confirmed_by_visiting_its_address(signer: Signer, verifier: SnsVerifier) -> None:
    message = signer.confirmation()
    await verifier.verify(message)
    await verifier.confirm(message)
    assert signer.visited[-1].startswith(f"{AMAZON}/?Action=ConfirmSubscription")


async def test_a_subscription_address_elsewhere_is_never_visited(signer: Signer, verifier: SnsVerifier) -> None:
    message = signer.confirmation(SubscribeURL="http://169.254.169.254/latest/meta-data")
    await verifier.verify(message)
    with pytest.raises(ForgedError):
        await verifier.confirm(message)
    assert signer.visited == [CERTIFICATE]


@pytest.mark.parametrize("lack", ["Type", "SignatureVersion", "Signature", "Message", "MessageId", "TopicArn"])
async def test_a_message_that_lacks_a_field_is_forged(signer: Signer, verifier: SnsVerifier, lack: str) -> None:
    message = signer.notification({})
    del message[lack]
    with pytest.raises(ForgedError):
        await verifier.verify(message)
