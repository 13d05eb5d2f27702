"""The HTTP of the loads: calls reuse one connection, and an answer that is not 2xx is reported."""

from __future__ import annotations

import asyncio

import pytest

from bench.measuring.http_wire import Caller, UnexpectedAnswerError


async def test_a_connection_that_the_server_has_ended_meanwhile_is_not_used() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        caller = Caller(server.sockets[0].getsockname()[1], "key")
        for _ in range(2):
            assert await caller.post("/x", {}) == b"ok"
            await asyncio.sleep(0.05)
        await caller.close()
    assert len(connections) == 2


async def test_calls_share_a_connection_and_refusals_are_raised() -> None:
    connections: list[asyncio.StreamWriter] = []
    statuses = iter(["201 Created", "200 OK", "422 Unprocessable", None])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        for status in statuses:
            await reader.readuntil(b'{"a":1}')
            if status is None:
                break
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n".encode())
            await asyncio.sleep(0.01)
            writer.write(b"ok")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        caller = Caller(server.sockets[0].getsockname()[1], "key")
        assert [await caller.post("/x", {"a": 1}) for _ in range(2)] == [b"ok", b"ok"]
        with pytest.raises(UnexpectedAnswerError, match="422"):
            await caller.post("/x", {"a": 1})
        with pytest.raises(UnexpectedAnswerError, match="hung up"):
            await caller.post("/x", {"a": 1})
        await caller.close()
    assert len(connections) == 1
