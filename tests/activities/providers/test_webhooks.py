"""A webhook step calls only allowed addresses, and reads no more of the answer than its status."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.providers.ports import WebhookCall
from activities.providers.provider_errors import Fault, ProviderError, Verdict
from activities.providers.webhook_addresses import Receivers, RefusedAddressError, reachable_by_all
from activities.providers.webhooks import SignedWebhooks
from tests.activities.providers.raw_http_server import http, raw_server

SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="


async def call(
    *urls: str, receivers: Receivers | None = None, timeout: float = 2.0, proxy: str | None = None
) -> list[Fault | None]:
    """The result of a call to each address, by one caller."""
    caller = SignedWebhooks(
        secret=SECRET, timeout=timedelta(seconds=timeout), connections=2, receivers=receivers, proxy=proxy
    )
    faults: list[Fault | None] = []
    try:
        for url in urls:
            try:
                await caller.call(WebhookCall("e/s/1", url, {"n": 1}))
                faults.append(None)
            except ProviderError as error:
                faults.append(error.fault)
    finally:
        await caller.close()
    return faults


@contextmanager
def flood(head: bytes, piece: bytes, pause: float = 0.0) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that answers `head` and then endless `piece`s. Yields its address and a count of the bytes sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    sent = [0]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(head)
                    while sent[0] < 1 << 28:
                        connection.sendall(piece)
                        sent[0] += len(piece)
                        time.sleep(pause)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: sent[0]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "52.95.110.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_not_everybody_reaches_is_private(address: str) -> None:
    assert not reachable_by_all(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert reachable_by_all(address)


@given(st.ip_addresses(v=4) | st.sampled_from([ipaddress.IPv4Address(one) for one in PRIVATE if ":" not in one]))
def test_an_ipv4_address_is_what_it_is_in_whichever_ipv6_address_it_stands(address: ipaddress.IPv4Address) -> None:
    verdict = reachable_by_all(str(address))
    number = int(address)
    teredo = (0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)
    forms = [0xFFFF << 32 | number, 0x0064FF9B << 96 | number, 0x2002 << 112 | number << 80, teredo]
    assert [reachable_by_all(str(ipaddress.IPv6Address(form))) for form in forms] == [verdict] * 4


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "user:pw@127.0.0.1",
    "example.com@127.0.0.1",
    "LOCALHOST",
]


async def test_in_whichever_spelling_a_private_address_is_not_called() -> None:
    with raw_server(http("200 OK", b"")) as (url, received):
        port = url.rpartition(":")[2]
        faults = await call(*(f"http://{host}:{port}/" for host in SPELLINGS), receivers=Receivers(public_only=True))
    said = {host: str(fault) for host, fault in zip(SPELLINGS, faults, strict=True)}
    assert {host for host, one in said.items() if one != "webhook:address-refused"} == {"0177.0.0.1"}, said
    assert said["0177.0.0.1"] == "webhook:bad-address"
    assert {fault.verdict for fault in faults if fault} == {Verdict.GIVE_UP}
    assert received == []


def test_a_name_is_judged_by_all_that_it_leads_to() -> None:
    """If only some of its addresses are public, only those are tried."""
    with pytest.raises(RefusedAddressError):
        Receivers(public_only=True).admitted(["10.0.0.1", "::1"])
    assert Receivers(public_only=True).admitted(["10.0.0.1", "8.8.8.8", "8.8.8.8"]) == ["8.8.8.8"]
    assert Receivers().admitted(["10.0.0.1"]) == ["10.0.0.1"]


async def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to another address each time (DNS rebinding) is resolved only once for each connection."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "rebound.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return real(f"127.0.0.{len(asked)}", port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with raw_server(http("200 OK", b"")) as (url, received):
        target = url.replace("127.0.0.1", "rebound.example")
        assert await call(target) == [None]
        assert len(received) == 1 and b"Host: rebound.example" in received[0]
        assert asked == ["rebound.example"]
        asked.clear()
        assert [str(one) for one in await call(target, receivers=Receivers(public_only=True))] == [
            "webhook:address-refused"
        ]
        assert asked == ["rebound.example"] and len(received) == 1


async def test_the_second_address_of_a_name_is_called_where_the_first_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def two(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "two.example":
            return real(host, port, *args, **kwargs)
        return [*real("127.0.0.9", port, *args, **kwargs), *real("127.0.0.1", port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with raw_server(http("200 OK", b"")) as (url, _):
        assert await call(url.replace("127.0.0.1", "two.example")) == [None]


async def test_hosts_that_are_named_are_called_wherever_they_are_and_no_others() -> None:
    with raw_server(http("200 OK", b"")) as (url, received):
        named = Receivers(("127.0.0.1", "*.acme.test"), public_only=True)
        port = url.rpartition(":")[2]
        faults = await call(url, f"http://127.1:{port}", f"http://localhost:{port}", receivers=named)
    assert [str(fault) for fault in faults] == ["None", "webhook:address-refused", "webhook:address-refused"]
    assert len(received) == 1
    for host in ("hooks.acme.test", "A.B.ACME.TEST."):
        named.admit_host(host)
    for host in ("acme.test", "evilacme.test", "acme.test.evil.example"):
        with pytest.raises(RefusedAddressError):
            named.admit_host(host)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_the_end_and_is_not_followed(status: str) -> None:
    with (
        raw_server(http("200 OK", b"")) as (elsewhere, followed),
        raw_server(http(status, b"", f"Location: {elsewhere}")) as (url, received),
    ):
        [fault] = await call(url)
    assert fault is not None and fault.verdict is Verdict.GIVE_UP
    assert str(fault) == f"webhook:{status[:3]}"
    assert (len(received), followed) == (1, [])


async def test_a_long_answer_is_cut_off() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
    with flood(head, b"x" * 65536) as (url, sent):
        assert await call(url) == [None]
        assert sent() < 1 << 24, "socket buffers hold a little more than was read"


async def test_an_answer_is_asked_for_unpacked_and_never_unpacked() -> None:
    bomb = gzip.compress(b"\0" * (1 << 24))
    with raw_server(http("200 OK", bomb, "Content-Encoding: gzip")) as (url, received):
        assert await call(url) == [None]
    assert b"accept-encoding: identity" in received[0].lower()


async def test_an_answer_that_drips_is_over_when_the_time_is() -> None:
    with flood(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", b"x", 0.05) as (url, _):
        begun = time.monotonic()
        assert await call(url, timeout=0.5) == [None], "it said yes"
        assert time.monotonic() - begun < 3
    with flood(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", 0.05) as (url, _):
        begun = time.monotonic()
        [fault] = await call(url, timeout=0.5)
        assert fault is not None and fault.verdict is Verdict.UNKNOWN
        assert time.monotonic() - begun < 3


async def test_no_cookie_of_a_receiver_is_kept() -> None:
    with raw_server(http("200 OK", b"", "Set-Cookie: session=stolen; Path=/")) as (url, received):
        assert await call(url, url, url) == [None] * 3
    assert len(received) == 3 and not any(b"cookie:" in request.lower() for request in received)


async def test_a_proxy_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        raw_server(http("204 No", b"")) as (proxy, through),
        raw_server(http("200 OK", b"")) as (url, received),
    ):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert await call(url) == [None]
        assert (len(through), len(received)) == (0, 1)
        assert await call("http://hooks.acme.test/x", proxy=proxy, receivers=Receivers(public_only=True)) == [None]
        assert through[0].startswith(b"POST http://hooks.acme.test/x HTTP/1.1")
        private = await call("http://2130706433/", "http://[::1]/", proxy=proxy, receivers=Receivers(public_only=True))
        assert [str(fault) for fault in private] == ["webhook:address-refused"] * 2
        assert len(through) == 1


async def test_a_user_in_the_address_is_named_to_the_receiver() -> None:
    with raw_server(http("200 OK", b"")) as (url, received):
        assert await call(url.replace("://", "://ada:p%40ss@")) == [None]
    assert b"authorization: Basic YWRhOnBAc3M=" in received[0]
    assert b"ada" not in received[0]


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://a:99999/", "http://a\x00b/", "http://xn--/", "http://" + "a" * 70]
)
async def test_an_address_that_cannot_be_called_is_a_fault_and_no_crash(url: str) -> None:
    [fault] = await call(url)
    assert fault is not None and fault.verdict in (Verdict.GIVE_UP, Verdict.RETRY)
