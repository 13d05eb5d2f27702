"""Follow the messages that the sandbox's providers accept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx


@dataclass(frozen=True, slots=True)
class Mail:
    """A message: its contact (the local part of the address), its subject, when it was accepted (epoch)."""

    contact: str
    subject: str
    at: float


class MailFeed:
    """Follows the sandbox. `count` is the number of messages so far; `await until(n)` waits for the nth."""

    def __init__(self, sandbox: httpx.AsyncClient) -> None:
        self._sandbox = sandbox
        self.seen: list[Mail] = []
        self.news: asyncio.Queue[Mail] = asyncio.Queue()
        self._more = asyncio.Event()

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[MailFeed]:
        """Listen while the block runs."""
        task = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, count: int, seconds: float) -> None:
        """Wait until `count` messages have come. Raises TimeoutError, which says how many came."""
        try:
            async with asyncio.timeout(seconds):
                while len(self.seen) < count:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.seen)} of {count} messages came within {seconds:.0f} s") from None

    async def _listen(self) -> None:
        after = 0
        while True:
            query = {"after": after, "wait": 5}
            told = (await self._sandbox.get("/_control/messages", params=query)).raise_for_status().json()
            for message in told["messages"]:
                after = message["seq"]
                at = datetime.fromisoformat(message["at"]).timestamp()
                mail = Mail(message["to"].partition("@")[0], message["subject"], at)
                self.seen.append(mail)
                self.news.put_nowait(mail)
            self._more.set()
            await asyncio.sleep(0.1)  # keeps the cost of reading low
