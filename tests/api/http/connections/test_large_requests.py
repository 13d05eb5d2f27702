"""What is too large is refused before it is read: bodies, headers, trailers, requests ahead of their answers."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.http import server
from tests.api.http.connections.raw_connections import CHUNKED, QUICKLY, begun, served_slowly, sockets
from tests.api.server import serve


@pytest.mark.parametrize(
    ("path", "announced"), [("/webhooks/ses", 1 << 21), ("/v1/events", 1 << 21), ("/v1/batch", 6 << 20)]
)
async def test_a_body_that_announces_too_much_is_refused_unread(
    app: FastAPI, key: str, path: str, announced: int
) -> None:
    said = f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    async with serve(app) as url, sockets(url, begun(path, announced, b"", said), 1) as [(reader, _)]:
        async with asyncio.timeout(QUICKLY):
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


async def test_a_bad_link_is_refused_before_the_body_is_read(app: FastAPI) -> None:
    async with serve(app) as url, sockets(url, begun("/u/nobody", 1000), 1) as [(reader, _)]:
        async with asyncio.timeout(QUICKLY):
            assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 400_000, id="one header without an end"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n", id="one long header"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", id="many headers"),
        pytest.param(b"GET /" + b"x" * 400_000, id="an address without an end"),
    ],
)
async def test_headers_are_bounded(app: FastAPI, said: bytes) -> None:
    async with serve(app) as url, sockets(url, said, 1) as [(reader, _)]:
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")


AFTER_A_BODY = [
    pytest.param(b"0\r\nX: " + b"x" * 400_000, id="one trailer without an end"),
    pytest.param(b"0\r\n" + b"X: y\r\n" * 60_000, id="many trailers"),
    pytest.param(b"1;" + b"x" * 400_000, id="an extension of a chunk without an end"),
]


@pytest.mark.parametrize("said", AFTER_A_BODY)
async def test_what_is_no_body_amid_a_chunked_one_is_bounded(app: FastAPI, said: bytes) -> None:
    async with serve(app) as url, asyncio.timeout(20):
        async with sockets(url, b"POST /webhooks/ses" + CHUNKED + said, 1) as [(reader, _)]:
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
        async with sockets(url, b"POST /u/x" + CHUNKED, 1) as [(reader, writer)]:  # answered before its body is read
            answer = await reader.readuntil(b"}")
            writer.write(said)
            with suppress(ConnectionResetError):
                answer += await reader.read()
            assert answer.count(b"HTTP/1.1 ") == 1
            assert answer.startswith(b"HTTP/1.1 404 ")


async def test_trailers_are_no_headers() -> None:
    trailer = b"0\r\nAuthorization: Bearer x\r\n\r\n"
    async with served_slowly(b"POST /" + CHUNKED + trailer) as (reader, _, may):
        may.set()
        answer = await reader.readuntil(b"}")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"size": 1, "named": ["host", "transfer-encoding"]}


@pytest.mark.parametrize(
    "next_said",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000, id="too large a header"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", id="half a request"),
        pytest.param(b"\x16\x03\x01", id="no HTTP"),
        pytest.param(b"\r\n" * 5_000, id="line ends"),
    ],
)
async def test_what_was_asked_is_answered_before_what_follows_is_refused(
    next_said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    for bound in ("HEAD_BYTES", "CHUNK_BYTES"):
        monkeypatch.setattr(server, bound, 1000)
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    async with served_slowly(one * 2 + next_said) as (reader, _, may):
        await asyncio.sleep(0.6)
        may.set()
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 ") == answers.count(b"HTTP/1.1 ") == 2
    assert answers.count(b"connection: close") == 1


async def test_requests_ahead_of_their_answers_are_bounded(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = looked_at = 0
    keep, look_at = RequestResponseCycle.__init__, server.BoundedProtocol.on_message_begin

    def counted(self: RequestResponseCycle, *args: Any, **named: Any) -> None:
        nonlocal kept
        kept += 1
        keep(self, *args, **named)

    def begun(self: server.BoundedProtocol) -> None:
        nonlocal looked_at
        looked_at += 1
        look_at(self)

    monkeypatch.setattr(RequestResponseCycle, "__init__", counted)
    monkeypatch.setattr(server.BoundedProtocol, "on_message_begin", begun)
    one = b"GET /u/x HTTP/1.1\r\n\r\n"
    few, many = b"GET /healthz HTTP/1.1\r\n\r\n" * server.AHEAD, one * 50_000
    async with serve(app) as url, sockets(url, many, 1) as [(reader, _)], asyncio.timeout(20):
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 404 ") == kept <= server.AHEAD + 1
        assert answers.count(b"connection: close") == 1
        assert looked_at < server.AHEAD + 2 * server.CHUNK_BYTES // len(one)
        async with sockets(url, few, 1) as [(reader, _)]:
            for _ in range(server.AHEAD):
                await reader.readuntil(b'{"status":"ok"}')
