"""Whether a message is handed over at once, by its run's own task, or stands in its provider's queue.

A queue gives a rate over all workers, turns among tracks and patience with a provider that is away, and costs Temporal
a third of its work for a contact (measured). So a message goes past it where nothing of that is needed: where the
queue's rate has room for it, few others are under way, and the provider takes what it is given.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.contract import SendResult
from activities.sending import queue_rates
from store.engine import live_workers
from store.engine.background_tasks import Beside
from store.engine.database import Database

AT_ONCE = 16
"""Messages of a channel that a process has under way, by either way, when no further one goes past the queue. Each of
those that do holds a workflow task: with a slow provider, other runs need theirs."""
BURST = 0.2
"""Seconds of a rate that may be used up at once after a pause; one message at least."""
SHUT_FOR = 5.0
"""Seconds for which everything stands in the queue after a provider did not take a message, unless it says itself."""

QUEUED = SendResult(outcome="queued")

log = structlog.get_logger(__name__)


class DirectSend:
    """The way past one provider's queue, in one process. Shut until the queue's rate is known."""

    def __init__(self, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._under_way = 0
        self._past: set[asyncio.Task[SendResult]] = set()
        self._rate = 0.0
        self._room = 0.0
        self._filled_at = self._shut_until = self._trusted_until = -math.inf

    def told(self, rate: float, asked_at: float) -> None:
        """This process's part of the queue's rate, messages a second, by an answer asked for then (this clock)."""
        self._fill()
        self._rate = rate
        self._trusted_until = asked_at + queue_rates.TRUSTED_FOR

    def is_open(self) -> bool:
        """Whether the next message may go past the queue."""
        self._fill()
        if not self._shut_until <= self._clock() < self._trusted_until:
            return False
        return self._under_way < self._at_once and (math.isinf(self._rate) or self._room >= 1)

    def begin(self) -> None:
        """A message is being sent, by either way: what the queue hands out uses up the rate as well."""
        self._fill()
        self._room = max(self._room - 1, -self._most())
        self._under_way += 1

    def end(self) -> None:
        """One that has begun is not under way any more."""
        self._under_way -= 1

    async def send(self, send: Awaitable[SendResult]) -> SendResult:
        """Send from the queue."""
        self.begin()
        return await self._to_its_end(send)

    async def now(self, send: Callable[[], Awaitable[SendResult]]) -> SendResult:
        """Send, if it may go past the queue; what the provider did not take is tried again from there.

        It goes on though the caller is cancelled, as a local activity is whose run's task was lost with the server:
        a message that is claimed and not handed over would count as sent.
        """
        if not self.is_open():
            return QUEUED
        self.begin()
        task = asyncio.create_task(self._to_its_end(send()))
        self._past.add(task)
        task.add_done_callback(self._passed)
        try:
            return await asyncio.shield(task)
        except ApplicationError:
            return QUEUED

    async def close(self) -> None:
        """Let what goes on by itself come to its end."""
        await asyncio.gather(*self._past, return_exceptions=True)

    async def _to_its_end(self, send: Awaitable[SendResult]) -> SendResult:
        """Send, and stay shut for a while where the provider did not take it."""
        try:
            return await send
        except ApplicationError as error:
            pause = error.next_retry_delay.total_seconds() if error.next_retry_delay else 0.0
            self._shut_until = self._clock() + max(pause, SHUT_FOR)
            raise
        finally:
            self.end()

    def _passed(self, task: asyncio.Task[SendResult]) -> None:
        self._past.discard(task)
        if not task.cancelled():
            task.exception()  # else one that nobody waits for any more would be reported as never retrieved

    def _fill(self) -> None:
        now = self._clock()
        if math.isfinite(self._rate) and math.isfinite(self._filled_at):
            self._room = min(self._room + (now - self._filled_at) * self._rate, self._most())
        self._filled_at = now

    def _most(self) -> float:
        return max(1.0, self._rate * BURST) if math.isfinite(self._rate) else 1.0


class DirectSendWatch(Beside):
    """Looks at the queues' rates while it is open."""

    def __init__(self, database: Database, client: Client, direct_sends: Mapping[str, DirectSend]) -> None:
        self._database = database
        self._client = client
        self._direct_sends = direct_sends

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (
                Exception
            ) as error:  # of the database or the server: nothing is sent directly, and the next look is near
                log.debug("rates not read", error=type(error).__name__)
            await asyncio.sleep(queue_rates.LOOKED_AT_EVERY)

    async def look(self) -> None:
        """Tell each its part of its queue's rate: the workers have equal ones."""
        asked_at = time.monotonic()
        async with self._database.statement() as connection:
            workers = max(1, await live_workers.workers(connection))
        for queue, direct in self._direct_sends.items():
            direct.told((await queue_rates.read(self._client, queue)).holds / workers, asked_at)
