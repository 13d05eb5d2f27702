"""The queue of all callbacks: in order per key, retried with backoff, stored in the journal.

The journal holds a callback's arguments, not its bytes: its request is built (and signed) when it is delivered.
Callbacks that are not delivered when the sandbox stops are delivered after the next start.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.sandbox.core.faults import Faults
from infra.sandbox.core.journal import Entry, Journal, Place
from infra.sandbox.core.outbound import Outbound, Unreachable

CONCURRENCY = 16
FIRST_RETRY = 0.2
LAST_RETRY = 5.0
MAX_REFUSALS = 6
"""After so many client errors the callback is given up. A receiver that is down is retried."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to be sent."""

    url: str
    headers: dict[str, str]
    content: bytes
    again_after: float | None = None
    """Seconds after which a delivered request is built and sent again, until its builder returns None."""


class NotYet(Exception):
    """A builder raises it if its callback has to wait for something else."""


Builder = Callable[[dict[str, Any]], Outgoing | None]
"""Makes the request from the callback's arguments; None if there is nothing to send."""


@dataclass(slots=True)
class Callback:
    """One pending callback. `due` is an epoch time."""

    id: int
    key: str
    builder: str
    due: float
    args: dict[str, Any]
    attempts: int = 0
    refusals: int = 0


class Callbacks:
    """The queue. Callbacks of one key (a message) never overtake each other."""

    def __init__(self, book: Journal, faults: Faults) -> None:
        self._book = book
        self._faults = faults
        self._builders: dict[str, Builder] = {}
        self._waiting: dict[str, deque[Callback]] = {}
        self._pending: dict[int, Callback] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._ticket = itertools.count()
        self._busy: set[str] = set()
        self._last = 0
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._tasks: set[asyncio.Task[None]] = set()
        self.delivered = 0
        self.dropped = 0
        self.last_error = ""
        book.subscribe("callback", self._added)
        book.subscribe("callback-done", self._done)
        book.subscribe("reset", self._reset)

    def builder(self, name: str, builder: Builder) -> None:
        """Register the function that builds requests of one kind."""
        self._builders[name] = builder

    def add(self, builder: str, key: str, due: float, args: dict[str, Any]) -> None:
        """Store a callback, and deliver it at `due` or as soon as the receiver accepts it."""
        self._book.write("callback", id=self._last + 1, key=key, builder=builder, due=due, args=args)

    def hurry(self) -> None:
        """Retry all waiting callbacks at once, because the reason to wait is gone."""
        now = time.time()
        for key, queue in self._waiting.items():
            if queue[0].attempts and key not in self._busy:
                queue[0].due = min(queue[0].due, now)
                self._schedule(key)

    def waiting(self) -> int:
        """How many callbacks are not delivered yet."""
        return len(self._pending)

    async def run(self) -> None:
        """Deliver until cancelled."""
        outbound = Outbound()
        try:
            while True:
                while self._heap and self._heap[0][0] <= time.time():
                    await self._slots.acquire()
                    callback = self._pop()
                    if callback is None:
                        self._slots.release()
                        continue
                    self._busy.add(callback.key)
                    task = asyncio.create_task(self._deliver(outbound, callback))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                    task.add_done_callback(lambda _: self._slots.release())
                self._wake.clear()
                pause = max(self._heap[0][0] - time.time(), 0) if self._heap else None
                try:
                    # wait_for would lose a cancellation that comes together with the event.
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            outbound.close()

    def _pop(self) -> Callback | None:
        """The next callback, or None if the heap's entry is outdated."""
        if not self._heap:
            return None
        due, _, key = heapq.heappop(self._heap)
        queue = self._waiting.get(key)
        return queue[0] if queue and queue[0].due == due and key not in self._busy else None

    async def _deliver(self, outbound: Outbound, callback: Callback) -> None:
        try:
            pause = await self._attempt(outbound, callback)
        except Exception as problem:
            # One callback that cannot be built must not stop the others.
            self.last_error = f"{callback.builder}: {type(problem).__name__}: {problem}"
            self.dropped += 1
            pause = None
        finally:
            self._busy.discard(callback.key)
        if callback.id in self._pending:
            if pause is None:
                self._book.write("callback-done", id=callback.id)
            else:
                callback.attempts += 1
                callback.due = time.time() + pause
        self._schedule(callback.key)

    async def _attempt(self, outbound: Outbound, callback: Callback) -> float | None:
        """Seconds to wait before the next attempt, or None when there will be none."""
        later: float = min(FIRST_RETRY * 2.0 ** min(callback.attempts, 10), LAST_RETRY)
        try:
            outgoing = self._builders[callback.builder](callback.args)
        except NotYet:
            return later
        if outgoing is None:
            return None
        fault = await self._faults.strike("callback", [outgoing.url, callback.key, str(callback.args)])
        if fault.kind == "drop_before":
            self.dropped += 1
            return None
        for _ in range(2 if fault.kind == "duplicate" else 1):
            try:
                status = await outbound.post(outgoing.url, outgoing.headers, outgoing.content)
            except Unreachable as problem:
                self.last_error = str(problem)
                return later
        if status < 300:
            self.delivered += 1
            return outgoing.again_after
        self.last_error = f"{outgoing.url}: answered {status}"
        if status < 500 and status not in (404, 408, 425, 429):
            callback.refusals += 1
        if callback.refusals >= MAX_REFUSALS:
            self.dropped += 1
            return None
        return later

    def _schedule(self, key: str) -> None:
        queue = self._waiting.get(key)
        if queue:
            heapq.heappush(self._heap, (queue[0].due, next(self._ticket), key))
            self._wake.set()

    def _added(self, entry: Entry, place: Place) -> None:
        callback = Callback(entry["id"], entry["key"], entry["builder"], entry["due"], entry["args"])
        self._last = callback.id
        self._pending[callback.id] = callback
        queue = self._waiting.setdefault(callback.key, deque())
        queue.append(callback)
        if len(queue) == 1:
            self._schedule(callback.key)

    def _done(self, entry: Entry, place: Place) -> None:
        callback = self._pending.pop(entry["id"], None)
        if callback is None:
            return
        queue = self._waiting[callback.key]
        queue.remove(callback)
        if not queue:
            del self._waiting[callback.key]
        else:
            self._schedule(callback.key)  # needed when this is read from the journal

    def _reset(self, entry: Entry, place: Place) -> None:
        self._pending.clear()
        self._waiting.clear()
        self._heap.clear()
