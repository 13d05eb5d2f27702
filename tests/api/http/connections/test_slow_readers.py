"""A client that does not read its answer, or reads it slowly, holds up nobody."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from api.http import server
from api.http.metrics import Metrics
from api.http.overload import Admission, RefuseOverload
from tests.api.http.connections.raw_connections import sockets
from tests.api.server import serve


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small socket buffers: what a client does not read stays in the API's memory."""
    begin = server.BoundedProtocol.connection_made

    def with_little_room(self: server.BoundedProtocol, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        begin(self, transport)

    monkeypatch.setattr(server.BoundedProtocol, "connection_made", with_little_room)


@pytest.mark.usefixtures("little_room")
async def test_an_answer_that_nobody_reads_is_given_up(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.5)
    lost, lose = asyncio.Event(), server.BoundedProtocol.connection_lost

    def noted(self: server.BoundedProtocol, exc: Exception | None) -> None:
        lost.set()
        lose(self, exc)

    monkeypatch.setattr(server.BoundedProtocol, "connection_lost", noted)
    many = b"GET /openapi.json HTTP/1.1\r\n\r\n" * server.AHEAD
    async with serve(app) as url, sockets(url, many, 2):  # their readers buffer at most 64 KiB
        async with asyncio.timeout(4):  # a connection without a request is closed after 5 s
            await lost.wait()


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("least", [2_000, 1 << 30])
async def test_who_reads_slowly_is_answered_to_the_end(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "READ_BYTES", least)
    app, text = FastAPI(), "x" * 4_000_000
    app.add_api_route("/", lambda: PlainTextResponse(text))
    read = 0
    async with serve(app) as url, sockets(url, b"GET / HTTP/1.0\r\n\r\n", 1) as [(reader, _)], asyncio.timeout(20):
        with suppress(ConnectionResetError):
            while part := await reader.read(100_000):
                read += len(part)
                await asyncio.sleep(0.02)
    assert (read > len(text)) is (least == 2_000)


async def test_who_has_been_answered_and_does_not_read_has_no_place() -> None:
    admission = Admission(places=1, waiting=1, patience=1)
    unread = asyncio.Event()

    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        assert admission.taken == 1
        await PlainTextResponse("so")(scope, receive, send)

    async def sent(message: Message) -> None:
        unread.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "path": "/u/x", "headers": [], "method": "GET"}
    served = asyncio.create_task(RefuseOverload(answers, admission, Metrics())(scope, _nothing, sent))
    await unread.wait()
    assert admission.taken == 0
    served.cancel()


async def _nothing() -> Message:
    return await asyncio.Future()
