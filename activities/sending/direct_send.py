"""Whether a message is sent at once, by its run's own workflow task, or waits in its provider's queue.

A queue gives a rate over all workers, fairness among tracks, and patience with a provider that is down. It costs a
third of Temporal's work for a contact (measured). So a message bypasses the queue if it needs none of this: the queue's
rate has room for it, few other messages are being sent, and the provider accepts messages.
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
from store.engine.background import live_workers
from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database

AT_ONCE = 16
"""The most messages of a channel that a process sends at the same time, in both ways, while another may bypass the
queue. Each message that bypasses it holds a workflow task; with a slow provider, other runs need these tasks."""
BURST = 0.2
"""Seconds of the rate that may be used at once after a pause; at least one message."""
SHUT_FOR = 5.0
"""Seconds for which messages use the queue after the provider did not accept one, unless it states a longer time."""

QUEUED = SendResult(outcome="queued")

log = structlog.get_logger(__name__)


class DirectSend:
    """Direct sending past one provider's queue, in one process. Not allowed until the queue's rate is known."""

    def __init__(self, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._under_way = 0
        self._past: set[asyncio.Task[SendResult]] = set()
        self._rate = 0.0
        self._room = 0.0
        self._filled_at = self._shut_until = self._trusted_until = -math.inf

    def told(self, rate: float, asked_at: float) -> None:
        """Set this process's share of the queue's rate (messages per second), requested at `asked_at` (this clock)."""
        self._fill()
        self._rate = rate
        self._trusted_until = asked_at + queue_rates.TRUSTED_FOR

    def is_open(self) -> bool:
        """Whether the next message may bypass the queue."""
        self._fill()
        if not self._shut_until <= self._clock() < self._trusted_until:
            return False
        return self._under_way < self._at_once and (math.isinf(self._rate) or self._room >= 1)

    def begin(self) -> None:
        """Count a message that starts to be sent, in either way: messages from the queue use up the rate as well."""
        self._fill()
        self._room = max(self._room - 1, -self._most())
        self._under_way += 1

    def end(self) -> None:
        """Count a message that is finished."""
        self._under_way -= 1

    async def send(self, send: Awaitable[SendResult]) -> SendResult:
        """Send a message that comes from the queue."""
        self.begin()
        return await self._to_its_end(send)

    async def now(self, send: Callable[[], Awaitable[SendResult]]) -> SendResult:
        """Send the message if it may bypass the queue; a message that the provider did not accept goes to the queue.

        Sending continues even if the caller is cancelled, as happens to a local activity whose workflow task was lost
        with the server: a message that is claimed but not sent would count as sent.
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
        """Wait for sends whose callers were cancelled."""
        await asyncio.gather(*self._past, return_exceptions=True)

    async def _to_its_end(self, send: Awaitable[SendResult]) -> SendResult:
        """Send; if the provider did not accept the message, allow no direct sends for a while."""
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
            task.exception()  # marks it as retrieved; otherwise asyncio would log it if its caller was cancelled

    def _fill(self) -> None:
        now = self._clock()
        if math.isfinite(self._rate) and math.isfinite(self._filled_at):
            self._room = min(self._room + (now - self._filled_at) * self._rate, self._most())
        self._filled_at = now

    def _most(self) -> float:
        return max(1.0, self._rate * BURST) if math.isfinite(self._rate) else 1.0


class DirectSendWatch(BackgroundTask):
    """Reads the queues' rates while it is open."""

    def __init__(self, database: Database, client: Client, direct_sends: Mapping[str, DirectSend]) -> None:
        self._database = database
        self._client = client
        self._direct_sends = direct_sends

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # the database or the server failed: no direct sends until a later read succeeds
                log.debug("rates not read", error=type(error).__name__)
            await asyncio.sleep(queue_rates.LOOKED_AT_EVERY)

    async def look(self) -> None:
        """Set the share of each queue's rate: all workers have equal shares."""
        asked_at = time.monotonic()
        async with self._database.statement() as connection:
            workers = max(1, await live_workers.workers(connection))
        for queue, direct in self._direct_sends.items():
            direct.told((await queue_rates.read(self._client, queue)).holds / workers, asked_at)
