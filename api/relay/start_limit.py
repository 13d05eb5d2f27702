"""How many starts may be on their way to Temporal at once: no more than it takes without a queue.

A start asks little of a server and causes much. With too many on their way at once, a server takes the starts, keeps
the workers' own calls waiting, and hardly lets them work off any; then everybody else's clicks wait too. The
figures are in docs/design/benchmarks.md#what-was-tried.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable

from api.relay.delivery import Delivered, Delivery

LEAST = 1
QUEUED = 2.0
"""How many of ours may wait in the server."""
PATIENCE = 1.0
"""Seconds after which one that is not answered gives its place to the next: a call that hangs must not hold up all."""
RELEARN = 10.0
"""Seconds after which it begins with one at a time again, to learn how long that takes now: a server that others keep
busy is no reason to hold back."""


class StartLimit:
    """Learns from how long each start takes, after TCP Vegas (L. Brakmo, L. Peterson, 1995).

    Of `n` that are on their way at once `n * (1 - least / took)` wait in a queue, where `least` is what one takes
    without.
    """

    def __init__(self, most: int) -> None:
        """At most `most` at once."""
        self._most = most
        self._open = float(LEAST)
        self._under_way: set[object] = set()
        self._least = math.inf
        self._relearn_at = -math.inf

    @property
    def free(self) -> int:
        """How many more may set out."""
        return max(0, int(self._open) - len(self._under_way))

    async def within(self, start: Awaitable[Delivery]) -> Delivery:
        """Let one set out, and learn from its answer."""
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
        """One of `at_once` set out at `began` and was answered now (seconds of one clock)."""
        if now >= self._relearn_at:
            self._relearn_at = now + RELEARN
            self._open, self._least = float(LEAST), math.inf
        took = now - began
        if at_once <= LEAST:
            self._least = min(self._least, took)
        if took <= 0 or math.isinf(self._least):
            return  # those that set out before it began anew say nothing of how long one takes
        queued = at_once * (1 - min(self._least, took) / took)
        if queued > QUEUED or at_once > self._open / 2:  # what was not used says nothing of what could be
            step = 1.0 if queued < QUEUED / 4 else (QUEUED - queued) / self._open
            self._open = min(max(self._open + step, LEAST), self._most)
