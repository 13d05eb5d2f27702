"""Unsigned calls are refused, whatever they hold, and cost little."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import weakref
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.app import create_app
from api.feedback import sns_addresses, sns_certificates
from api.feedback.sns_certificates import Certificates
from api.feedback.sns_signature import CertificateUnavailableError, ForgedError, SnsVerifier
from settings import Settings
from store.engine.database import Database
from tests.api.sns import AMAZON, CERTIFICATE, TOPIC, Signer, tell

SANDBOX = "http://127.0.0.1:4579"
NASTY = st.text(st.sampled_from("\n\r\t\x00\x01\x7f\u00a0é\ud800 /\\?#@:[]%.a0"), max_size=3)
SOUND = {
    "Type": "Notification",
    "MessageId": "m-1",
    "TopicArn": TOPIC,
    "Message": "{}",
    "Timestamp": "2026-11-21T12:00:00.000Z",
    "SignatureVersion": "2",
    "Signature": "c2lnbmF0dXJl",
    "SigningCertURL": CERTIFICATE,
    "SubscribeURL": f"{AMAZON}/?Action=ConfirmSubscription",
    "Token": "abc",
}
ADDRESSES = [
    CERTIFICATE,
    f"{SANDBOX}/sns/cert.pem",
    f"{AMAZON}:443/x",
    "https://[::1]/x.pem",
    "https://[",
    "https://xn--a.amazonaws.com/x.pem",  # no name in Punycode
    f"https://{'a' * 70}.amazonaws.com/x.pem",
    "x" * 70_000,
]


@st.composite
def bent(draw: st.DrawFn, text: st.SearchStrategy[str]) -> str:
    """A text with an unusual part."""
    whole = draw(text)
    at = draw(st.integers(0, min(len(whole), 100)))
    return whole[:at] + draw(NASTY) + whole[at:]


ADDRESS: st.SearchStrategy[Any] = bent(st.sampled_from(ADDRESSES)) | st.sampled_from([None, 1, [], {}])
FIELD: st.SearchStrategy[Any] = (
    bent(st.sampled_from(sorted(SOUND.values()))) | st.none() | st.integers() | st.lists(st.none(), max_size=2)
)
CHANGES = st.fixed_dictionaries(
    {"SigningCertURL": ADDRESS},
    optional={name: FIELD for name in SOUND if name != "SigningCertURL"}
    | {"Type": st.sampled_from(["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"])},
)
HOST = st.sampled_from(["nurture.acme.test", "xn--a.test", "[", "a/b", "a:x", "[::1", "a b", "@", "a?b#c"])


async def _answer(request: Request) -> Response:
    """A stand-in for Amazon without a usable certificate."""
    return PlainTextResponse("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.fixture(scope="module")
def closed() -> FastAPI:
    """The API without a database: forged calls must be refused before it is used."""
    chosen = Settings(
        secret=SecretStr("s" * 32),
        twilio_auth_token=SecretStr("t" * 32),
        stripe_webhook_secret=SecretStr("whsec_a,whsec_b"),
        hubspot_client_secret=SecretStr("a,b"),
        public_url="https://nurture.acme.test",
    )
    app = create_app(chosen, Database("postgresql://nobody@127.0.0.1:9/nothing"))
    stand_in = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=[Route("/{path:path}", _answer)])))
    object.__setattr__(app.state.context, "sns", SnsVerifier(stand_in, sandbox=SANDBOX))
    return app


def post(app: FastAPI, path: str, body: bytes, headers: dict[str, str]) -> int:
    async def call() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://nurture.acme.test") as client:
            return (await client.post(path, content=body, headers=headers)).status_code

    return asyncio.run(call())


@given(changes=CHANGES, host=HOST)
@settings(max_examples=150)
def test_no_forged_notification_is_a_failure_of_the_server(closed: FastAPI, changes: dict[str, Any], host: str) -> None:
    assert post(closed, "/webhooks/ses", json.dumps(SOUND | changes).encode(), {"Host": host}) in (400, 403)


@given(
    body=st.binary() | st.builds(lambda text: f"From={text}&MessageSid=1".encode("ascii", "replace"), st.text()),
    signature=st.text(st.characters(max_codepoint=255, min_codepoint=33), max_size=40),
    algorithm=st.sampled_from(["", "algorithm=HMAC_SHA256", "algorithm=x", "algorithm"]),
    host=HOST,
    query=st.sampled_from(["", "?a=b", "?%", "?%ff=%00"]),
)
def test_no_forged_callback_of_twilio_is_a_failure_of_the_server(
    closed: FastAPI, body: bytes, signature: str, algorithm: str, host: str, query: str
) -> None:
    headers = {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": algorithm, "Host": host}
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/webhooks/twilio/inbound", "/webhooks/twilio/status/x"):
        assert post(closed, path + query, body, raw) in (400, 403)  # type: ignore[arg-type]


@given(
    body=st.binary(),
    header=st.binary(max_size=60)
    | st.from_regex(rb"\At=[0-9]{0,12}(,v1=([0-9a-f]{64}|.{0,9})){0,3}\Z").filter(lambda text: b"\n" not in text),
)
def test_no_forged_event_of_stripe_is_a_failure_of_the_server(closed: FastAPI, body: bytes, header: bytes) -> None:
    assert post(closed, "/webhooks/stripe", body, {"Stripe-Signature": header}) == 403  # type: ignore[dict-item]


@given(
    body=st.binary(),
    signature=st.binary(max_size=60).filter(lambda text: b"\n" not in text and b"\r" not in text),
    timestamp=st.from_regex(rb"\A[0-9]{0,20}\Z").filter(lambda text: b"\n" not in text)
    | st.sampled_from([str(int(time.time() * 1000)).encode(), b"-1", b"1e9", b"\xb2"]),
    query=st.sampled_from(["", "?a=b", "?%", "?%ff=%00", "?%3A"]),
)
def test_no_forged_change_of_hubspot_is_a_failure_of_the_server(
    closed: FastAPI, body: bytes, signature: bytes, timestamp: bytes, query: str
) -> None:
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": timestamp}
    assert post(closed, f"/webhooks/hubspot{query}", body, headers) == 403  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["[", "a/b", "a:x", "[::1"])
def test_a_strange_host_is_no_failure_of_the_server(closed: FastAPI, host: str) -> None:
    for path, status in (("/healthz", 405), ("/c/nobody", 405), ("/u/nobody", 404), ("/nothing", 404)):
        assert post(closed, path, b"", {"Host": host}) == status


@given(bent(st.sampled_from(ADDRESSES)))
@example("http://127.00.0.1:4579/a.pem")
@example("http://0127.0.0.1:4579/a.pem")
def test_what_is_fetched_is_what_was_judged(url: str) -> None:
    address = sns_addresses.read(url)
    if address is None:
        return
    seen = httpx.URL(address.url)
    assert (seen.scheme, seen.raw_host.decode(), seen.port or (443 if seen.scheme == "https" else 80)) == address.origin
    assert seen.path.startswith("/")
    assert sns_addresses.read(address.url) == address


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE + "\n",
        CERTIFICATE.replace("sns.", "sns.\n"),
        "\x01" + CERTIFICATE,
        CERTIFICATE + "\t",
        CERTIFICATE + "\x7f",
        CERTIFICATE.replace("eu-west-1", "us-east-1"),
        f"{SANDBOX}/" + "x" * 70_000,
    ],
)
async def test_an_odd_address_or_another_region_is_not_even_fetched(signer: Signer, url: str) -> None:
    signer.visited.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signer.app)) as client:
        verifier = SnsVerifier(client, sandbox=SANDBOX, topics=(TOPIC,))
        with pytest.raises(ForgedError):
            await verifier.verify(signer.notification({}, SigningCertURL=url))
        confirming = signer.confirmation(SubscribeURL=url.replace(".pem", ".pem?x"))
        await verifier.verify(confirming)
        with pytest.raises(ForgedError):
            await verifier.confirm(confirming)
    assert signer.visited == [CERTIFICATE]


async def test_nothing_is_fetched_for_a_topic_that_is_not_believed(signer: Signer) -> None:
    signer.visited.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signer.app)) as client:
        verifier = SnsVerifier(client, sandbox=None, topics=(TOPIC,))
        with pytest.raises(ForgedError):
            await verifier.verify(signer.notification({}, TopicArn=TOPIC + "-evil"))
    assert signer.visited == []


class Slow:
    """A slow stand-in for Amazon."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls, self.at_once, self.most = seconds, 0, 0, 0
        self.app = Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        self.calls += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        return PlainTextResponse("no such page", 404)


def certificate(number: int) -> str:
    return f"{AMAZON}/SimpleNotificationService-{number:032x}.pem"


async def test_a_flood_of_slow_certificates_keeps_nobody_waiting(
    app: FastAPI, anonymous: httpx.AsyncClient, signer: Signer, key: str
) -> None:
    slow = Slow(2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(slow.app)) as client:
        object.__setattr__(app.state.context, "sns", SnsVerifier(client, sandbox=None))
        forged = [signer.notification({}, SigningCertURL=certificate(number % 130)) for number in range(300)]
        flood = [asyncio.create_task(tell(anonymous, one)) for one in forged]
        await asyncio.sleep(0.5)
        since = time.monotonic()
        assert (await anonymous.get("/v1/tracks", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert (await anonymous.get("/u/nobody")).status_code == 404
        assert time.monotonic() - since < 1
        assert set(await asyncio.gather(*flood)) == {503}
    assert slow.most <= sns_certificates.FETCHES
    assert slow.calls <= sns_certificates.FETCHES


async def test_a_failure_is_remembered_and_one_fetch_serves_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(0.2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(slow.app)) as client:
        held = Certificates(client)

        async def ask(url: str = CERTIFICATE) -> None:
            address = sns_addresses.read(url)
            assert address is not None
            with pytest.raises(CertificateUnavailableError):
                await held.key(address)

        gone = asyncio.create_task(ask())
        rest = [asyncio.create_task(ask()) for _ in range(10)]
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.gather(*rest)
        await ask()
        assert slow.calls == 1
        monkeypatch.setattr(sns_certificates, "REMEMBERED", 0.05)
        await ask(certificate(1))
        await asyncio.sleep(0.1)
        await ask(certificate(1))
        assert slow.calls == 3


async def test_a_remembered_failure_keeps_nothing_of_the_messages_that_met_it() -> None:
    class Message:
        """An object to check with a weak reference whether it still exists."""

    async def tell(held: Certificates) -> weakref.ref[Message]:
        message, address = Message(), sns_addresses.read(CERTIFICATE)
        assert address is not None
        with suppress(CertificateUnavailableError):
            await held.key(address)
        return weakref.ref(message)

    slow = Slow(0.05)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(slow.app)) as client:
        held = Certificates(client)
        told = await asyncio.gather(*(tell(held) for _ in range(3)))
        told.append(await tell(held))
        gc.collect()
        assert [message() for message in told] == [None] * 4
        assert slow.calls == 1


async def test_a_certificate_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sns_certificates, "SECONDS", 0.2)
    slow = Slow(30)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(slow.app)) as client:
        address = sns_addresses.read(CERTIFICATE)
        assert address is not None
        with pytest.raises(CertificateUnavailableError):
            await Certificates(client).key(address)
