"""POSTs over a raw connection: what arrives, which connections are kept, what counts as no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from infra.sandbox.core.outbound import Outbound, Unreachable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk(handler: Handler, conversation: Callable[[Outbound, str], Awaitable[None]]) -> None:
    """Run a conversation with a server that serves every connection with `handler`."""

    async def main() -> None:
        writers = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            with suppress(asyncio.IncompleteReadError):
                await handler(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        outbound = Outbound()
        port = server.sockets[0].getsockname()[1]
        await conversation(outbound, f"http://127.0.0.1:{port}")
        outbound.close()
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    asyncio.run(main())


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(length)


def test_posts_share_a_connection_and_arrive_whole() -> None:
    connections, requests = [], []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while True:
            requests.append(await read_request(reader))
            for part in (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20", b"2 Fine\r\ncontent-length: 2\r\n\r\n", b"ok"):
                writer.write(part)
                await asyncio.sleep(0.01)

    async def conversation(outbound: Outbound, url: str) -> None:
        for n in range(3):
            assert await outbound.post(f"{url}/a?b={n}", {"x-one": "1"}, b"body") == 202

    talk(handler, conversation)
    assert len(connections) == 1
    assert requests[2].startswith(b"POST /a?b=2 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert requests[2].endswith(b"x-one: 1\r\n\r\nbody")


def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def conversation(outbound: Outbound, url: str) -> None:
        for _ in range(3):
            assert await outbound.post(url, {}, b"") == 200

    talk(handler, conversation)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", b"nonsense\r\n\r\n"])
def test_half_an_answer_is_none(answer: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        writer.close()

    async def conversation(outbound: Outbound, url: str) -> None:
        with pytest.raises(Unreachable):
            await outbound.post(url, {}, b"")

    talk(handler, conversation)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1/", {}),
        ("ftp://127.0.0.1/", {}),
        ("nowhere", {}),
        ("http://127.0.0.1:99999/", {}),
        ("http://127.0.0.1:1/", {"x": "a\r\nb: c"}),
    ],
)
def test_what_cannot_be_posted_is_unreachable(url: str, headers: dict[str, str]) -> None:
    async def main() -> None:
        with pytest.raises(Unreachable):
            await Outbound().post(url, headers, b"")

    asyncio.run(main())
