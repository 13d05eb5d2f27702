"""Bodies while they arrive: in bounded time, in bounded memory, and without a place of those who work.

Almost every body is there when it is asked for. Whoever sends slowly gives up its place until the body is whole:
open connections that send nothing take nothing from anybody.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import Receive

from api.http.overload import Visit
from api.http.problems import ProblemError, overloaded_error

AT_ONCE = 0.05
"""Seconds within which a body is taken to be there: so long its request keeps its place."""
SECONDS = 10.0
"""Seconds that a body may take, and"""
LEAST_RATE = 64 << 10
"""for each so many bytes of it one more."""
HELD = 64 << 20
"""Bytes of bodies that arrive without a place, at most: past them the one that has been arriving for longest is given
up."""
HELD_FOR_STRANGERS = 16 << 20
"""Of these, for requests that have shown neither a key nor a signature."""


@dataclass(eq=False)
class _Share:
    """What one body has of the memory."""

    stranger: bool
    size: int = 0


class Arrivals:
    """What has arrived of bodies that are not whole yet, or wait for their places."""

    def __init__(self) -> None:
        self.held = {True: 0, False: 0}
        """Bytes, of strangers and of others."""
        self._arriving: dict[_Share, asyncio.Timeout] = {}

    async def whole(self, receive: Receive, limit: int, visit: Visit | None, unzipped: int = 1) -> bytes:
        """The whole body; its request then has the places of its size.

        Args:
            receive: the request's ASGI channel.
            limit: bytes that it may have.
            visit: the request's places; None where nothing bounds the requests.
            unzipped: how many times larger it is taken to become.

        Raises:
            ProblemError: 413 past the limit, 408 where it comes too slowly, 400 where it breaks off, 429 where there
                is no place for it.
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
        """Wait for the rest of the body, without a place."""
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
        """Whether there is room for so much of a body, if need be by giving up what has been arriving for longest."""
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
    """What has come of one body."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self.data = bytearray()
        self.complete = False

    async def rest(self) -> None:
        """Everything that is missing."""
        while not self.complete:
            await self.more()

    async def more(self) -> None:
        """What has come since."""
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
