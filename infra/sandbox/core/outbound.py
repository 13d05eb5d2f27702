"""Calling the application, as cheaply as a busy sandbox needs it.

A general HTTP client spends more on one small post than signing it does, and more on being imported than
the whole sandbox, so this speaks just enough HTTP/1.1: one request, one answer, connections kept for the next.
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
    """No answer came: refused, reset, timed out, or not an address at all."""


class _Answer:
    """Collects what the parser says about one answer; the body does not matter to anybody."""

    def __init__(self) -> None:
        self.complete = False
        self.keep = False
        self.parser = httptools.HttpResponseParser(self)

    def on_message_complete(self) -> None:
        self.complete = self.parser.get_status_code() >= 200
        # The parser knows this only now.
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
        """Whether the other side has not closed it meanwhile."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()


class Outbound:
    """Calls over kept connections; use it within one event loop and close it there."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[_Connection]] = {}

    async def post(self, url: str, headers: dict[str, str], content: bytes) -> int:
        """Post; see `call`."""
        return await self.call("POST", url, headers, content)

    async def call(self, method: str, url: str, headers: dict[str, str], content: bytes = b"") -> int:
        """The status of the answer; Unreachable when there is none.

        A request whose kept connection turns out to be closed is made again on a new one, so that a receiver
        may see it twice, as it may with the providers themselves.
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
    """Where to connect and what to write; ValueError when the address or a header is none."""
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
