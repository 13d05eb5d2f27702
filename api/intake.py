"""Accepting events of many requests in few transactions.

A transaction costs more than the event in it. Requests that arrive while others are being stored wait for each
other and share the next transaction; one that arrives alone waits for nobody. Each is answered after its commit.
How many may wait here is bounded by `api.gate`: each is a request that has a place.
"""

from __future__ import annotations

import asyncio
from collections import deque

from sqlalchemy.exc import DBAPIError

from store import events
from store.database import Database
from store.events import Accepted, Event

LANES = 2
"""Transactions at the same time: one that waits for a lock must not hold up everybody."""
MOST = 64
"""Events in one transaction."""


class Intake:
    """Stores events; `pace` is that of runs they begin by an entry rule."""

    def __init__(self, db: Database, pace: float) -> None:
        self._db, self._pace = db, pace
        self._waiting: deque[tuple[Event, asyncio.Future[Accepted]]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    async def accept(self, event: Event) -> Accepted:
        """Return once the event and all that follows from it are committed.

        Raises what the store raises for this event; a neighbour's fault is not raised here.
        """
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, answer))
        if len(self._lanes) < LANES:
            lane = asyncio.create_task(self._lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await answer

    async def _lane(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            await self._store(batch)

    async def _store(self, batch: list[tuple[Event, asyncio.Future[Accepted]]]) -> None:
        try:
            async with self._db.transaction() as tx:
                results = await events.accept_many(tx, [event for event, _ in batch], pace=self._pace)
        except Exception as error:
            if len(batch) == 1 or _nobody_answers(error):
                for _, answer in batch:
                    if not answer.done():  # the caller may have gone
                        answer.set_exception(error)
                return
            for one in batch:  # each on its own, so that only the faulty one fails
                await self._store([one])
            return
        for (_, answer), accepted in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(accepted)


def _nobody_answers(error: Exception) -> bool:
    """Whether the database is away, rather than at odds with what it was given."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) is None
