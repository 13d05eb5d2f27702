"""Connections on which tests say what no HTTP client would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request

from tests.api.server import serve

QUICKLY = 2.0
"""Seconds for an answer on a busy machine. A call that has to wait takes 5."""
Socket = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def sockets(url: str, said: bytes, count: int) -> AsyncIterator[list[Socket]]:
    """`count` connections on which `said` has been sent, and no more."""
    parts = urlsplit(url)
    opened = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(count)]
    for _, writer in opened:
        writer.write(said)
        await writer.drain()
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


def begun(path: str, announced: int, sent: bytes = b"x", more: str = "") -> bytes:
    """A request that announces so many bytes of a body, and what is sent of them."""
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {announced}\r\n{more}\r\n".encode() + sent


CHUNKED = b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
"""What follows a method and a path: a chunked body of which one byte has come."""


@asynccontextmanager
async def served_slowly(said: bytes) -> AsyncIterator[tuple[*Socket, asyncio.Event]]:
    """A connection to a server that reports the headers of a request and its body's size after the event is set."""
    app, may = FastAPI(), asyncio.Event()

    @app.post("/")
    async def tell(request: Request) -> dict[str, Any]:
        await may.wait()
        return {"size": len(await request.body()), "named": sorted(request.headers)}

    async with serve(app) as url, sockets(url, said, 1) as [(reader, writer)], asyncio.timeout(20):
        yield reader, writer, may
