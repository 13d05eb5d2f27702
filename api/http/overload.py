"""Overload: a limited number of requests is served, a limited number waits. All others get 429 with `Retry-After`.

A refused request costs little: its key and its body are not read. Requests of providers and contacts are served
first and refused last, because some of them never call again (Twilio does not repeat a status callback). Requests of
the orchestrator never wait.

A request holds places only while it is served. While its body arrives slowly it holds none
(`api.http.bodies.arrival`), and the places of a body are counted from the bytes that arrived, not from the announced
length. A stranger is a request without a verified key or signature. All strangers together have a limited share of
the places, and strangers that wait for this share do not delay other requests.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.metrics import Metrics
from api.http.problems import overloaded
from api.pages.dead_link import page
from api.pages.rendering import HEADERS

FREE = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")
"""Paths whose requests neither wait nor take places."""
URGENT = ("/webhooks/", "/c/", "/o/", "/u/", "/confirm/", "/handoff/")
"""Paths that are served first: their callers may not call again, or are people."""
KEYED = "/v1/"
"""Paths on which the key is checked before anything else is done."""
RESERVED = 8
"""One place in so many is reserved for urgent requests."""
STRANGERS = 4
"""Strangers may take at most one place in so many."""
URGENT_WAITING = 4
"""The queue of urgent requests may be so many times as long."""
PLACE = 32 << 10
"""Bytes of a body per place. A parsed body takes several times its size in memory."""
LARGEST = 40
"""Most places that one body takes: those of the largest body that is read (5 MiB)."""
REFUSED_QUICKLY = 100
"""Refusals a second that are answered at once. Each costs a third of a millisecond, so callers that ignore
`Retry-After` could use up this process. Above this rate refusals are answered later: the more, the later."""
LATEST_REFUSAL = 5.0
"""Longest delay of a refusal, in seconds."""
LONGEST_RETRY = 30
"""Largest `Retry-After`, in seconds."""
_VISIT = "perennial.visit"


class Line(IntEnum):
    """The queues, in the order in which they are served."""

    URGENT = 0
    STRANGER = 1
    OTHER = 2


@dataclass(eq=False)
class _Waiting:
    places: int
    admitted: asyncio.Future[None]


class Admission:
    """Gives places to requests. Three queues wait for them, in order of priority."""

    def __init__(self, places: int, waiting: int, patience: float) -> None:
        """`patience` is how many seconds a request may wait. An urgent one may wait twice as long."""
        self.places = places
        self.waiting = waiting
        self.patience = patience
        self.taken = 0
        self.strangers = 0
        """How many of the taken places strangers hold."""
        self._queues: dict[Line, deque[_Waiting]] = {line: deque() for line in Line}
        self._second = 0
        self._refused = 0
        self._refused_before = 0
        self._served = 0
        self._served_before = 0

    @property
    def share(self) -> int:
        """Places that all strangers together may hold."""
        return max(1, self.places // STRANGERS)

    def cost(self, size: int, line: Line) -> int:
        """Places for a request whose body has `size` bytes."""
        return max(1, min(-(-size // PLACE), LARGEST, self.share if line is Line.STRANGER else self.places))

    async def enter(self, places: int, line: Line) -> bool:
        """Wait for places. Returns whether the request got them; it must then `leave` with as many places."""
        queue, urgent = self._queues[line], line is not Line.OTHER
        if not queue and self._fits(places, line):
            self._take(places, line)
            return True
        if len(queue) >= self.waiting * (URGENT_WAITING if urgent else 1):
            return self._refuse()
        me = _Waiting(places, asyncio.get_running_loop().create_future())
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
                self.leave(places, line)
            raise

    def leave(self, places: int, line: Line, *, answered: bool = True) -> None:
        """Give the places back: the request is answered, or waits for its body."""
        self._tick()
        self._served += answered
        self._take(-places, line)
        self._admit()

    def vouched(self, places: int) -> None:
        """Take the places of a verified request out of the strangers' share."""
        self.strangers -= places
        self._admit()

    def retry_after(self) -> int:
        """Seconds after which a refused request is likely to be served, with a random part so that not all return at
        once.
        """
        self._tick()
        refused = self._refused + self._refused_before
        served = max(self._served + self._served_before, 1)
        spread = min(max(refused // served, 1), LONGEST_RETRY - 1)
        return 1 + random.randint(0, spread)

    def linger(self) -> float:
        """Seconds by which to delay the answer to a refused request."""
        many = max(self._refused, self._refused_before) / REFUSED_QUICKLY - 1
        return 0.0 if many <= 0 else min(many, LATEST_REFUSAL) * (0.5 + random.random() / 2)

    def _withdrawn(self, me: _Waiting, queue: deque[_Waiting]) -> bool:
        """Take a request out of its queue. Returns False if it has just been admitted."""
        if me not in queue:
            return False
        queue.remove(me)
        self._admit()
        return True

    def _take(self, places: int, line: Line) -> None:
        self.taken += places
        if line is Line.STRANGER:
            self.strangers += places

    def _admit(self) -> None:
        for line, queue in self._queues.items():
            while queue and self._fits(queue[0].places, line):
                first = queue.popleft()
                self._take(first.places, line)
                first.admitted.set_result(None)
            # If the first request of the queue is large, the requests behind it wait too.
            if queue and not self._full_of_strangers(line, queue[0].places):
                return

    def _fits(self, places: int, line: Line) -> bool:
        if self._full_of_strangers(line, places) or any(self._goes_first(other) for other in Line if other < line):
            return False
        free = self.places - self.taken - (self.places // RESERVED if line is Line.OTHER else 0)
        return free >= places or self.taken == 0

    def _full_of_strangers(self, line: Line, places: int) -> bool:
        return line is Line.STRANGER and self.strangers > 0 and self.strangers + places > self.share

    def _goes_first(self, line: Line) -> bool:
        queue = self._queues[line]
        return bool(queue) and not self._full_of_strangers(line, queue[0].places)

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


class Visit:
    """One request and the places that it holds."""

    def __init__(self, admission: Admission, path: str, metrics: Metrics) -> None:
        self.admission, self._metrics = admission, metrics
        self._known = Line.URGENT if path.startswith(URGENT) else Line.OTHER
        self.stranger = not path.startswith(KEYED)
        self.places = 0

    @property
    def line(self) -> Line:
        """The queue of the request."""
        return Line.STRANGER if self.stranger else self._known

    def fits(self, size: int) -> bool:
        """Whether the request holds enough places for a body of `size` bytes."""
        return self.places == self.admission.cost(size, self.line)

    async def enter(self, size: int = 0) -> bool:
        """Give the places back, then wait for those of a body of `size` bytes. Returns whether the request got them."""
        self.step_out()
        places = self.admission.cost(size, self.line)
        if not await self.admission.enter(places, self.line):
            self._metrics.refused.labels("other" if self._known is Line.OTHER else "urgent").inc()
            return False
        self.places = places
        return True

    def step_out(self) -> None:
        """Give the places back for now; the request will `enter` again."""
        if self.places:
            self.admission.leave(self.places, self.line, answered=False)
            self.places = 0

    def leave(self) -> None:
        """Give the places back: the request is answered."""
        if self.places:
            self.admission.leave(self.places, self.line)
            self.places = 0

    def vouch(self) -> None:
        """The request has a verified key or signature: it stops being a stranger."""
        if self.stranger:
            places, self.stranger = self.places, False
            self.admission.vouched(places)


def visit_of(connection: HTTPConnection) -> Visit | None:
    """The request's visit; None if requests are not limited."""
    return connection.scope.get(_VISIT)


def vouch(connection: HTTPConnection) -> None:
    """Report that the request's signature, ours or a provider's, is verified: it stops being a stranger."""
    if visit := visit_of(connection):
        visit.vouch()


class RefuseOverload:
    """ASGI middleware that admits or refuses requests."""

    def __init__(self, app: ASGIApp, admission: Admission, metrics: Metrics) -> None:
        self._app, self._admission, self._metrics = app, admission, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it gets its places, or refuse it."""
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            await self._app(scope, receive, send)
            return
        visit = scope[_VISIT] = Visit(self._admission, scope["path"], self._metrics)
        if not await visit.enter():
            if pause := self._admission.linger():
                await asyncio.sleep(pause)
            await self._refusal(scope)(scope, receive, send)
            return
        begun: list[Message] = []

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            if not message.get("more_body", False):
                visit.leave()  # before the answer is sent, so that a client that reads slowly holds no place
            while begun:
                await send(begun.pop())
            await send(message)

        try:
            await self._app(scope, receive, answered)
        finally:
            visit.leave()

    def _refusal(self, scope: Scope) -> Response:
        seconds = self._admission.retry_after()
        if "text/html" in Headers(scope=scope).get("accept", ""):
            return HTMLResponse(page("full"), 429, HEADERS | {"Retry-After": str(seconds)})
        return overloaded(scope, seconds)
