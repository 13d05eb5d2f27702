"""Every adapter against connections that fail in every way: errors are classified by what is certain, never retried."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.providers.hubspot import HubSpotCrm
from activities.providers.ports import CrmChange, CrmContact, OutgoingEmail, OutgoingSms, WebhookCall
from activities.providers.provider_errors import ProviderError, Verdict
from activities.providers.ses import SesEmail
from activities.providers.twilio import TwilioSms
from activities.providers.webhooks import SignedWebhooks
from tests.activities.providers.raw_http_server import http, raw_server

SECRET = "zebulon@quagmire.test"
TIMEOUT = timedelta(seconds=0.5)
Send = Callable[[str], Awaitable[object]]


async def ses(url: str) -> object:
    provider = SesEmail(region="us-east-1", configuration_set="p", endpoint_url=url, timeout=TIMEOUT, threads=1)
    try:
        email = OutgoingEmail("01890a5d-ac96-774b-bcce-b302099a8057", "a@acme.test", SECRET, "s", "<p>h</p>", "t")
        return await provider.send(email)
    finally:
        await provider.close()


async def twilio(url: str) -> object:
    provider = TwilioSms(
        account_sid="AC1", auth_token="t", callback_base="http://acme.test", base_url=url, timeout=TIMEOUT, threads=1
    )
    try:
        return await provider.send(OutgoingSms("m", "+15005550006", "+15005550009", SECRET))
    finally:
        await provider.close()


async def hubspot(url: str) -> None:
    provider = HubSpotCrm(token="t", base_url=url, timeout=TIMEOUT, threads=1)
    try:
        change = CrmChange("e/s/1", datetime(2026, 3, 2, tzinfo=UTC), stage="lead")
        await provider.apply(CrmContact("c", SECRET, None), change, again=False)
    finally:
        await provider.close()


async def webhook(url: str) -> None:
    provider = SignedWebhooks(secret="whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=", timeout=TIMEOUT, connections=1)
    try:
        await provider.call(WebhookCall("e/s/1", url, {"to": SECRET}))
    finally:
        await provider.close()


ALL = pytest.mark.parametrize("send", [ses, twilio, hubspot, webhook], ids=lambda send: send.__name__)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


async def verdict(send: Send, url: str) -> Verdict:
    with pytest.raises(ProviderError) as caught:
        await send(url)
    error = caught.value
    assert SECRET not in repr((error, error.fault, error.__cause__)), "nothing personal leaves an adapter"
    assert error.__cause__ is None and error.__context__ is None
    return error.fault.verdict


@ALL
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"], ids=["refused", "unknown host"])
async def test_no_connection_is_tried_again(send: Send, url: str) -> None:
    assert await verdict(send, url) is Verdict.RETRY


@ALL
async def test_an_untrusted_certificate_is_found_before_anything_is_sent(send: Send, tmp_path: Path) -> None:
    with raw_server(http("200 OK", b"{}"), tls_in=tmp_path) as (url, received):
        assert await verdict(send, url) is Verdict.RETRY
    assert received == []


@ALL
@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http("500 Oops", b"<html>quagmire</html>"),
        http("502 Bad Gateway", b""),
        http("503 Busy", b'{"message": "try later"}', "Retry-After: 5"),
    ],
    ids=["closed", "cut short", "not http", "500 html", "502 empty", "503"],
)
async def test_what_broke_off_is_unknown_and_asked_once(send: Send, answer: bytes | None) -> None:
    with raw_server(answer) as (url, received):
        assert await verdict(send, url) is Verdict.UNKNOWN
    assert len([request for request in received if request]) == 1


@ALL
async def test_silence_past_the_timeout_is_unknown(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, nobody answers
        assert await verdict(send, f"http://127.0.0.1:{listener.getsockname()[1]}") is Verdict.UNKNOWN


@ALL
@pytest.mark.parametrize("header", ["Retry-After: 4", "Retry-After: never"])
async def test_too_many_requests_is_waited_for(send: Send, header: str) -> None:
    with raw_server(http("429 Too Many Requests", b"{}", header)) as (url, _), pytest.raises(ProviderError) as caught:
        await send(url)
    assert caught.value.fault.verdict is Verdict.WAIT
    assert caught.value.fault.retry_after == (timedelta(seconds=4) if "4" in header else None)


@ALL
async def test_a_no_is_final(send: Send) -> None:
    with raw_server(http("400 Bad Request", f'{{"message": "no {SECRET}"}}'.encode())) as (url, _):
        assert await verdict(send, url) is Verdict.GIVE_UP


@pytest.mark.parametrize("send", [ses, twilio], ids=lambda send: send.__name__)
@pytest.mark.parametrize("body", [b"<html>ok</html>", b"{}", b""], ids=["html", "no id", "empty"])
async def test_an_acceptance_that_names_no_message_is_unknown(send: Send, body: bytes) -> None:
    with raw_server(http("200 OK", body)) as (url, _):
        assert await verdict(send, url) is Verdict.UNKNOWN
