"""Posting to the application.

httpcore is httpx without its command line, whose import alone costs as much as the rest of the sandbox.
"""

from __future__ import annotations

import asyncio
import ssl

import httpcore

TIMEOUT = 10.0


class Unreachable(Exception):
    """No answer came: refused, reset, timed out, or not an address at all."""


class Outbound:
    """A pool of connections; use it within one event loop and close it there."""

    def __init__(self, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=5
        )

    async def post(self, url: str, headers: dict[str, str], content: bytes) -> int:
        """The status of the answer; Unreachable when there is none."""
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                response = await self._pool.request(
                    "POST", url, headers=list(headers.items()), content=content, extensions={"timeout": timeouts}
                )
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpcore.UnsupportedProtocol,
            TimeoutError,
            ssl.SSLError,
            UnicodeError,
            ValueError,
        ) as problem:
            raise Unreachable(f"{url}: {type(problem).__name__}") from None
        return response.status

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
