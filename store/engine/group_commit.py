"""Storing what many bring in few transactions: events, enrolments, what providers report, which messages were sent.

A transaction costs more than the event in it. Items that arrive while others are being stored wait for each
other and share the next transaction; one that arrives alone waits for nobody, or where nobody is in a hurry (`gather`)
a moment for company. Each is answered after its commit.
How many may wait here is bounded: each is a request that has a place in `api.http.overload`, or a send that has one in
a worker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.database import Database

Item = TypeVar("Item")
Answer = TypeVar("Answer")

TRANSACTIONS = 2
"""Transactions at the same time: one that waits for a lock must not hold up everybody."""
MOST = 64
"""Items in one transaction."""
_OUT_OF_ORDER = ("08", "25006", "53", "57", "58")
"""Classes of PostgreSQL's codes: connection, read-only server, resources (a full disk), shutdown, system."""


class GroupCommit(Generic[Item, Answer]):
    """Stores items by `store`, which answers each in order."""

    def __init__(
        self,
        db: Database,
        store: Callable[[AsyncConnection, Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        gather: float = 0.0,
        begin: Callable[[], AbstractAsyncContextManager[AsyncConnection]] | None = None,
    ) -> None:
        """`gather` is how many seconds the first of a transaction waits for others.

        `begin` opens what they are stored in: `Database.statement` for what one statement stores.
        """
        self._begin, self._store, self._gather = begin or db.transaction, store, gather
        self._gathering = False
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._transactions: set[asyncio.Task[None]] = set()

    async def accept(self, item: Item) -> Answer:
        """Return once the item and all that follows from it are committed.

        Raises what the store raises for this item; a neighbour's fault is not raised here.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if len(self._transactions) < TRANSACTIONS and not self._gathering:
            transaction = asyncio.create_task(self._transaction())
            self._transactions.add(transaction)
            transaction.add_done_callback(self._transactions.discard)
        return await answer

    async def _transaction(self) -> None:
        while self._waiting:
            if self._gather and len(self._waiting) < MOST:
                if self._gathering:
                    return  # the other transaction takes these too
                self._gathering = True
                await asyncio.sleep(self._gather)
                self._gathering = False
            if batch := [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]:
                await self._take(batch)

    async def _take(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            async with self._begin() as tx:
                results = await self._store(tx, [item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1 or _nobody_answers(error):
                for _, answer in batch:
                    if not answer.done():  # the caller may have gone
                        answer.set_exception(error)
                return
            for one in batch:  # each on its own, so that only the faulty one fails
                await self._take([one])
            return
        for (_, answer), result in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(result)


def _nobody_answers(error: Exception) -> bool:
    """Whether the database is away, full or busy, rather than at odds with what it was given.

    To try each item on its own then would have the last wait as often as there are items.
    """
    if isinstance(error, PoolTimeout | OSError):
        return True
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DBAPIError) and (not state or state.startswith(_OUT_OF_ORDER))
