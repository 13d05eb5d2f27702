"""Receiving request bodies in bounded time and bounded memory.

Almost every body has arrived when it is read. A request whose body arrives slowly gives its places back until the body
is complete, so open connections that send nothing do not block other requests.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import Receive

from api.http.overload import Visit
from api.http.problems import ProblemError, overloaded_error

AT_ONCE = 0.05
"""Seconds for which a request keeps its places while its body arrives."""
SECONDS = 10.0
"""Seconds that any body may take to arrive."""
LEAST_RATE = 64 << 10
"""A body gets one more second for each so many bytes."""
HELD = 64 << 20
"""Limit of bytes of all bodies that arrive without a place. Above it, the body that began to arrive first is given up.
"""
HELD_FOR_STRANGERS = 16 << 20
"""The part of this limit for requests without a verified key or signature."""


@dataclass(eq=False)
class _Share:
    """The memory that one body uses."""

    stranger: bool
    size: int = 0


class Arrivals:
    """Accounts for the memory of bodies that are incomplete or wait for their places."""

    def __init__(self) -> None:
        self.held = {True: 0, False: 0}
        """Bytes of strangers' bodies and of all others."""
        self._arriving: dict[_Share, asyncio.Timeout] = {}

    async def whole(self, receive: Receive, limit: int, visit: Visit | None, unzipped: int = 1) -> bytes:
        """Receive the complete body. Afterwards the request holds as many places as the body's size takes.

        Args:
            receive: the request's ASGI channel.
            limit: the largest allowed size in bytes.
            visit: the request's places; None if requests are not limited.
            unzipped: the factor by which the body is assumed to grow when it is unzipped.

        Raises:
            ProblemError: 413 above the limit, 408 if it arrives too slowly, 400 if the connection ends early, 429 if
                there are no places for it.
        """
        body = _Body(receive, limit)
        share = _Share(visit is None or visit.stranger)
        try:
            try:
                async with asyncio.timeout(AT_ONCE):
                    await body.rest()
            except TimeoutError:
                await self._slowly(body, share, visit)
            if visit is not None:
                size = min(len(body.data) * unzipped, limit)
                if not visit.fits(size) and not (self._has_room(share, len(body.data)) and await visit.enter(size)):
                    raise overloaded_error(visit.admission.retry_after())
        finally:
            self.held[share.stranger] -= share.size
        return bytes(body.data)

    async def _slowly(self, body: _Body, share: _Share, visit: Visit | None) -> None:
        """Wait for the rest of the body without holding a place."""
        if visit is not None:
            visit.step_out()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(began + SECONDS) as limit:
                self._arriving[share] = limit
                while not body.complete:
                    if self._has_room(share, len(body.data)) and share in self._arriving:
                        limit.reschedule(began + SECONDS + len(body.data) / LEAST_RATE)
                    await body.more()
        except TimeoutError:
            detail = f"The body came too slowly: it may take {SECONDS:.0f} s, and one more for each 64 KiB."
            raise ProblemError(408, "too-slow", detail, headers={"Connection": "close"}) from None
        finally:
            self._arriving.pop(share, None)

    def _has_room(self, share: _Share, size: int) -> bool:
        """Whether there is room for so many bytes. If needed, it gives up the body that began to arrive first."""
        self.held[share.stranger] += size - share.size
        share.size = size
        while self.held[True] > HELD_FOR_STRANGERS or sum(self.held.values()) > HELD:
            strangers = self.held[True] > HELD_FOR_STRANGERS
            oldest = next((one for one in self._arriving if one.stranger or not strangers), None)
            if oldest is None:
                return False
            self.held[oldest.stranger] -= oldest.size
            oldest.size = 0
            self._arriving.pop(oldest).reschedule(asyncio.get_running_loop().time())
        return True


class _Body:
    """One body while it arrives."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self.data = bytearray()
        self.complete = False

    async def rest(self) -> None:
        """Receive the rest."""
        while not self.complete:
            await self.more()

    async def more(self) -> None:
        """Receive the next part."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "malformed-body", "The body broke off.")
        self.data += message.get("body", b"")
        self.complete = not message.get("more_body", False)
        if len(self.data) > self._limit:
            raise too_large(self._limit)


def too_large(limit: int) -> ProblemError:
    """A 413 that names the limit."""
    return ProblemError(413, "body-too-large", f"The body may have at most {limit:,} bytes (unzipped).")
