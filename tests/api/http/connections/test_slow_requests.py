"""A connection that sends nothing, or slowly, keeps nobody waiting and is closed in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.http import server
from api.http.bodies import arrival
from tests.api.http.connections.raw_connections import QUICKLY, begun, served_slowly, sockets
from tests.api.server import serve


async def served_quickly(url: str, key: str) -> None:
    """Check that calls of people, providers and backends are served quickly."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        for method, path, status in (
            ("GET", "/v1/tracks", 200),
            ("POST", "/u/nobody", 404),
            ("GET", "/u/nobody", 404),
            ("POST", "/webhooks/ses", 403),
            ("GET", "/c/nobody", 404),
        ):
            body = "{}" if method == "POST" else None
            since = time.monotonic()
            answer = await client.request(method, path, content=body, headers={"Authorization": f"Bearer {key}"})
            assert (answer.status_code, path) == (status, path)
            assert time.monotonic() - since < QUICKLY, path


@pytest.mark.parametrize(
    ("said", "count"),
    [
        pytest.param(begun("/webhooks/ses", 1 << 20), 4, id="four that announce 1 MiB"),
        pytest.param(begun("/u/x", 5 << 20), 4, id="four that announce 5 MiB"),
        pytest.param(begun("/webhooks/ses", 1000), 150, id="many that announce little"),
        pytest.param(begun("/webhooks/ses", 1 << 20, b"x" * 700_000), 4, id="four that have sent the most of it"),
        pytest.param(begun("/v1/events", 1 << 20, more="Authorization: Bearer pk_x\r\n"), 40, id="with a wrong key"),
        pytest.param(
            b"POST /webhooks/twilio/inbound HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
            40,
            id="that announce nothing",
        ),
        pytest.param(b"GET /v1/tracks HTTP/1.1\r\nHost: a\r\nX: ", 150, id="half requests"),
        pytest.param(b"", 150, id="that say nothing"),
    ],
)
async def test_idle_connections_keep_nobody_waiting(app: FastAPI, key: str, said: bytes, count: int) -> None:
    async with serve(app) as url, sockets(url, said, count):
        await asyncio.sleep(0.3)
        await served_quickly(url, key)


async def test_a_body_that_comes_too_slowly_is_answered_408_and_the_connection_closed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "SECONDS", 0.5)
    async with serve(app) as url, sockets(url, begun("/webhooks/ses", 1000), 3) as opened:
        for reader, _ in opened:
            async with asyncio.timeout(20):
                answer = await reader.read()
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert json.loads(body)["type"] == "urn:perennial:problem:too-slow"


async def test_a_body_that_comes_in_pieces_is_served(app: FastAPI, key: str) -> None:
    async def pieces(size: int) -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(4):
            await asyncio.sleep(0.1)
            yield b"x" * (size // 4)
        yield b'"}'

    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        answer = await client.post("/v1/events", content=pieces(900_000), headers=headers)
        assert answer.status_code == 422
        assert (await client.post("/v1/events", content=pieces(1 << 20), headers=headers)).status_code == 413


async def test_a_caller_who_hangs_up_amid_a_body_is_no_failure_of_the_server(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(app) as url:
        async with sockets(url, begun("/webhooks/ses", 1000), 3):
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            figures = (await client.get("/metrics")).text
    assert 'route="/webhooks/ses",status="400"} 3.0' in figures
    assert "Traceback" not in caplog.text


async def test_the_body_of_a_request_behind_an_answered_one_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LINGER", 0.2)
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx"
    async with served_slowly(one + b"x" + one) as (reader, writer, may):
        may.set()
        await reader.readuntil(b"}")
        await asyncio.sleep(0.6)
        writer.write(b"x")
        assert b'"size":2' in await reader.readuntil(b"}")


async def closed_though_told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> None:
    """Check that the connection is closed within some seconds, although `said` is sent on it repeatedly."""
    closed = asyncio.create_task(reader.read())
    for _ in range(100):
        writer.write(said)
        await asyncio.sleep(0.05)
        if closed.done():
            return
    raise AssertionError("still open")


async def test_line_ends_keep_no_connection(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    async with serve(app) as url, sockets(url, b"GET /healthz HTTP/1.1\r\n\r\n", 1) as [(reader, writer)]:
        await reader.readuntil(b'{"status":"ok"}')
        await closed_though_told(reader, writer, b"\r\n")


async def test_half_requests_and_silent_connections_are_closed_in_time(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    async with serve(app) as url:
        async with sockets(url, b"GET /healthz HTTP/1.1\r\nX: ", 1) as [(reader, _)], asyncio.timeout(20):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        async with sockets(url, b"", 1) as [(reader, _)], asyncio.timeout(20):
            assert await reader.read() == b""
        async with sockets(url, b"GET /healthz HTTP/1.1\r\n\r\n", 1) as [(reader, writer)], asyncio.timeout(20):
            assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(1)
            writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")


async def test_the_rest_of_a_body_that_was_answered_is_not_taken_for_ever(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LINGER", 0.5)
    async with serve(app) as url, sockets(url, begun("/v1/events", 100_000), 1) as [(reader, writer)]:
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        await closed_though_told(reader, writer, b"x")
