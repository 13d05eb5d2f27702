"""Overload: so many requests at work, so many waiting, and to all others at once: come again in a few seconds.

A request that is refused costs little: its key and its body are not read. What providers and contacts call
goes first and is refused last, because some of them never call again (Twilio does not repeat a status callback).
What the orchestrator calls never waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import overloaded
from api.tracking.pages import page

FREE = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")
"""What neither waits nor counts."""
URGENT = ("/webhooks/", "/c/", "/o/", "/u/", "/confirm/")
"""What goes first: callers that may not come again, and people."""
STREAMED = ("/v1/imports",)
"""Where a body of any length takes one place: it is stored as it comes, and never held whole."""
RESERVED = 8
"""One place in so many is for urgent requests alone."""
URGENT_WAITING = 4
"""So many times as many urgent requests may wait."""
PLACE = 32 << 10
"""Bytes of a body that take one place: parsed, a body takes several times its size."""
UNKNOWN = 8
"""Places of a body that does not say its length."""
LARGEST = 40
"""Places of the largest body that is read (5 MiB)."""
GZIP = 5
"""How many times larger than announced an unzipped body is taken to be."""
REFUSED_QUICKLY = 100
"""Refusals a second that are answered at once. Each costs a third of a millisecond: callers who do not heed
`Retry-After` could have this process do nothing but refuse (measured: a ninth of the work was left), so they are
answered the later the more they are."""
LATEST_REFUSAL = 5.0
"""Seconds."""
LONGEST_RETRY = 30
"""Seconds of `Retry-After` at most."""


@dataclass(eq=False)
class _Waiting:
    places: int
    since: float
    admitted: asyncio.Future[None]


class Gate:
    """Places for requests, in two queues of which the urgent one goes first."""

    def __init__(self, places: int, waiting: int, patience: float) -> None:
        """`patience` is how many seconds a request may wait; an urgent one twice as long."""
        self.places = places
        self.waiting = waiting
        self.patience = patience
        self.taken = 0
        self._queues: dict[bool, deque[_Waiting]] = {True: deque(), False: deque()}
        self._second = 0
        self._refused = 0
        self._refused_before = 0
        self._served = 0
        self._served_before = 0

    async def enter(self, places: int, urgent: bool) -> bool:
        """Whether the request may go on, at once or after waiting its turn; then `leave` with as many places."""
        queue = self._queues[urgent]
        if not queue and self._fits(places, urgent):
            self.taken += places
            return True
        if len(queue) >= self.waiting * (URGENT_WAITING if urgent else 1):
            return self._refuse()
        me = _Waiting(places, time.monotonic(), asyncio.get_running_loop().create_future())
        queue.append(me)
        try:
            async with asyncio.timeout(self.patience * (2 if urgent else 1)):
                await me.admitted
            return True
        except TimeoutError:
            if self._withdrawn(me, queue):
                return self._refuse()
            return True
        except asyncio.CancelledError:
            if not self._withdrawn(me, queue):
                self.leave(places)
            raise

    def leave(self, places: int) -> None:
        """The request is answered: its places are free."""
        self._tick()
        self._served += 1
        self.taken -= places
        self._admit()

    def retry_after(self) -> int:
        """Seconds after which a refused request is likely to be served, scattered: not all come back together."""
        self._tick()
        refused = self._refused + self._refused_before
        served = max(self._served + self._served_before, 1)
        spread = min(max(refused // served, 1), LONGEST_RETRY - 1)
        return 1 + random.randint(0, spread)

    def linger(self) -> float:
        """Seconds to keep a refused request waiting for its answer."""
        many = max(self._refused, self._refused_before) / REFUSED_QUICKLY - 1
        return 0.0 if many <= 0 else min(many, LATEST_REFUSAL) * (0.5 + random.random() / 2)

    def _withdrawn(self, me: _Waiting, queue: deque[_Waiting]) -> bool:
        """Take a request out of its queue; False where it has been admitted at this very moment."""
        if me not in queue:
            return False
        queue.remove(me)
        self._admit()
        return True

    def _admit(self) -> None:
        for urgent in (True, False):
            queue = self._queues[urgent]
            while queue and self._fits(queue[0].places, urgent):
                first = queue.popleft()
                self.taken += first.places
                first.admitted.set_result(None)
            if queue:  # the first in line may be a large one: whoever comes after it waits behind it
                return

    def _fits(self, places: int, urgent: bool) -> bool:
        if not urgent and self._queues[True]:
            return False
        free = self.places - self.taken - (0 if urgent else self.places // RESERVED)
        return free >= places or self.taken == 0

    def _refuse(self) -> bool:
        self._tick()
        self._refused += 1
        return False

    def _tick(self) -> None:
        second = int(time.monotonic())
        if second != self._second:
            follows = second == self._second + 1
            self._refused_before, self._served_before = (self._refused, self._served) if follows else (0, 0)
            self._second, self._refused, self._served = second, 0, 0


class RefuseOverload:
    """ASGI middleware that lets requests through a gate."""

    def __init__(self, app: ASGIApp, gate: Gate, metrics: Metrics) -> None:
        self._app, self._gate, self._metrics = app, gate, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it is its turn, or refuse it."""
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            await self._app(scope, receive, send)
            return
        urgent = scope["path"].startswith(URGENT)
        places = 1 if scope["path"] in STREAMED else min(_places(Headers(scope=scope)), self._gate.places)
        if not await self._gate.enter(places, urgent):
            self._metrics.refused.labels("urgent" if urgent else "other").inc()
            if pause := self._gate.linger():
                await asyncio.sleep(pause)
            await self._refusal(scope)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._gate.leave(places)

    def _refusal(self, scope: Scope) -> Response:
        seconds = self._gate.retry_after()
        if "text/html" in Headers(scope=scope).get("accept", ""):
            return HTMLResponse(page("full"), 429, {"Retry-After": str(seconds)})
        return overloaded(seconds)


def _places(headers: Headers) -> int:
    """How many places a request takes, by the length of its body."""
    if "transfer-encoding" in headers:
        return UNKNOWN
    length = headers.get("content-length", "0")
    size = int(length) if length.isdecimal() else 0
    if headers.get("content-encoding", "").strip().lower() == "gzip":
        size *= GZIP
    return max(1, min(-(-size // PLACE), LARGEST))
