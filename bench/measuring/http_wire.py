"""HTTP for the loads, on plain sockets.

An HTTP client uses as much CPU for a call as the API does. On the same cores, this would distort the measurement.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from infra.launch.ports import HOST


class UnexpectedAnswerError(RuntimeError):
    """The answer differs from the plan, or the service closed the connection."""


def request(port: int, path: str, key: str, body: Mapping[str, Any]) -> str:
    """A POST of JSON as the text of an HTTP request."""
    text = json.dumps(body, separators=(",", ":"))
    head = (
        f"POST {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
    )
    return "\r\n".join(head) + "\r\n\r\n" + text


def answer(received: bytes) -> tuple[int, bytes] | None:
    """Parse an answer into status and body; None if it is incomplete. Raises ValueError if it has no Content-Length."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    status_line, *fields = head.split(b"\r\n")
    named = dict(field.lower().split(b":", 1) for field in fields)
    if b"content-length" not in named:
        raise ValueError("an answer without Content-Length")
    length = int(named[b"content-length"])
    return (int(status_line.split()[1]), body[:length]) if len(body) >= length else None


class Caller:
    """POSTs JSON to one port of this machine, with one keep-alive connection for each concurrent call."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """POST and return the answer's body. Raises UnexpectedAnswerError if the status is not 2xx."""
        reader, writer = await self._connection()
        try:
            writer.write(request(self._port, path, self._key, body).encode())
            received = b""
            while (found := answer(received)) is None:
                more = await reader.read(65536)
                if not more:
                    raise UnexpectedAnswerError(f"POST {path}: hung up after {received!r}")
                received += more
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        status, told = found
        if not 200 <= status < 300:
            raise UnexpectedAnswerError(f"POST {path}: {status} {told!r}")
        return told

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A free connection, or a new one if the server has closed it."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(HOST, self._port)

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            await writer.wait_closed()
