"""Call the application with little CPU.

A general HTTP client needs more CPU for one small POST than signing it, and more for its import than the whole sandbox.
So this file has a minimal HTTP/1.1 client: one request, one answer, and connections kept for the next call.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import httptools

TIMEOUT = 10.0
MAX_IDLE = 16
Origin = tuple[str, str, int]


class Unreachable(Exception):
    """No answer came: the connection was refused, reset or timed out, or the address is invalid."""


class _Answer:
    """Collects the parser's results for one answer. The body is ignored."""

    def __init__(self) -> None:
        self.complete = False
        self.keep = False
        self.parser = httptools.HttpResponseParser(self)

    def on_message_complete(self) -> None:
        self.complete = self.parser.get_status_code() >= 200
        # The parser knows this only at the end of the message.
        self.keep = self.parser.should_keep_alive()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def exchange(self, request: bytes) -> tuple[int, bool]:
        """The status of the answer, and whether the connection may be used again."""
        self._writer.write(request)
        answer = _Answer()
        while not answer.complete:
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionResetError("closed without an answer")
            answer.parser.feed_data(data)
        return answer.parser.get_status_code(), answer.keep

    @property
    def fresh(self) -> bool:
        """Whether the other side has not yet closed the connection."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()


class Outbound:
    """Calls over kept connections. Use it within one event loop, and close it there."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[_Connection]] = {}

    async def post(self, url: str, headers: dict[str, str], content: bytes) -> int:
        """Post; see `call`."""
        return await self.call("POST", url, headers, content)

    async def call(self, method: str, url: str, headers: dict[str, str], content: bytes = b"") -> int:
        """Make a call. Returns the status of the answer. Raises Unreachable if there is none.

        If a kept connection turns out to be closed, the request is made again on a new one. So a receiver may get it
        twice, as from the real providers.
        """
        try:
            origin, request = _request(method, url, headers, content)
            async with asyncio.timeout(TIMEOUT):
                while kept := self._idle.get(origin):
                    connection = kept.pop()
                    if connection.fresh:
                        try:
                            return await self._exchange(origin, connection, request)
                        except ConnectionError:
                            continue
                    connection.close()
                secure = ssl.create_default_context() if origin[0] == "https" else None
                streams = await asyncio.open_connection(origin[1], origin[2], ssl=secure)
                return await self._exchange(origin, _Connection(*streams), request)
        except (OSError, TimeoutError, ValueError, httptools.HttpParserError) as problem:
            raise Unreachable(f"{url}: {type(problem).__name__}") from None

    async def _exchange(self, origin: Origin, connection: _Connection, request: bytes) -> int:
        keep = False
        try:
            status, keep = await connection.exchange(request)
            return status
        finally:
            kept = self._idle.setdefault(origin, [])
            if keep and len(kept) < MAX_IDLE:
                kept.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close every kept connection."""
        for kept in self._idle.values():
            for connection in kept:
                connection.close()
        self._idle.clear()


def _request(method: str, url: str, headers: dict[str, str], content: bytes) -> tuple[Origin, bytes]:
    """Where to connect, and the bytes to write. Raises ValueError if the address or a header is invalid."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address")
    origin = (parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{method} {target} HTTP/1.1",
        f"host: {parts.netloc.rpartition('@')[2]}",
        f"content-length: {len(content)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any(character in line for line in lines for character in "\r\n"):
        raise ValueError("a line break in a header")
    return origin, "\r\n".join([*lines, "", ""]).encode("latin-1") + content
