"""Limits the number of concurrent start calls to what Temporal can process without a queue.

A start is a cheap call that causes much work. With too many concurrent starts, the server accepts the starts and
delays the workers' calls, so hardly any run makes progress, and live events wait too. The figures are in
docs/design/benchmarks.md#what-was-tried.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable

from api.relay.delivery import Delivered, Delivery

LEAST = 1
QUEUED = 2.0
"""How many of our starts may wait in the server."""
PATIENCE = 1.0
"""Seconds after which an unanswered start gives its place to the next, so that a hanging call does not block others."""
RELEARN = 10.0
"""Seconds after which the limit begins with one start at a time again, to measure the base time anew. Otherwise a
server that was slow because of other load would count as queueing our starts."""


class StartLimit:
    """Adapts the limit to the duration of starts, after TCP Vegas (L. Brakmo, L. Peterson, 1995).

    Of `n` concurrent starts, `n * (1 - least / took)` wait in a queue, where `took` is the duration of a start and
    `least` its duration without a queue.
    """

    def __init__(self, most: int) -> None:
        """Allow at most `most` concurrent starts."""
        self._most = most
        self._open = float(LEAST)
        self._under_way: set[object] = set()
        self._least = math.inf
        self._relearn_at = -math.inf

    @property
    def free(self) -> int:
        """How many more starts may be sent now."""
        return max(0, int(self._open) - len(self._under_way))

    async def within(self, start: Awaitable[Delivery]) -> Delivery:
        """Send a start, and adapt the limit to the time that it takes."""
        place = object()
        self._under_way.add(place)
        at_once, began = len(self._under_way), time.monotonic()
        patience = asyncio.get_running_loop().call_later(PATIENCE, self._under_way.discard, place)
        try:
            answer = await start
        finally:
            patience.cancel()
            self._under_way.discard(place)
        if isinstance(answer, Delivered):
            self.learn(began, time.monotonic(), at_once)
        return answer

    def learn(self, began: float, now: float, at_once: int) -> None:
        """Adapt to a start, one of `at_once`, that was sent at `began` and answered at `now` (seconds of one clock)."""
        if now >= self._relearn_at:
            self._relearn_at = now + RELEARN
            self._open, self._least = float(LEAST), math.inf
        took = now - began
        if at_once <= LEAST:
            self._least = min(self._least, took)
        if took <= 0 or math.isinf(self._least):
            return  # starts sent before the new beginning do not tell the time of a single one
        queued = at_once * (1 - min(self._least, took) / took)
        if queued > QUEUED or at_once > self._open / 2:  # an unused limit proves nothing
            step = 1.0 if queued < QUEUED / 4 else (QUEUED - queued) / self._open
            self._open = min(max(self._open + step, LEAST), self._most)
