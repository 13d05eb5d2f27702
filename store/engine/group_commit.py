"""Store the items of many callers in few transactions: events, enrolments, provider callbacks, sent messages.

A transaction costs more than the event in it. Items that arrive while others are being stored wait, and share the next
transaction. An item that arrives alone does not wait, or waits `gather` seconds for others where speed matters less.
Each caller is answered after its commit. The number of waiting items is bounded, because each is a request that holds a
place in `api.http.overload`, or a send that holds a place in a worker.
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
"""Transactions at the same time. With only one, a transaction that waits for a lock would hold up all items."""
MOST = 64
"""Items in one transaction."""
_OUT_OF_ORDER = ("08", "25006", "53", "57", "58")
"""Classes of PostgreSQL's error codes: connection, read-only server, resources (a full disk), shutdown, system."""


class GroupCommit(Generic[Item, Answer]):
    """Stores items by `store`, which returns a result for each, in order."""

    def __init__(
        self,
        db: Database,
        store: Callable[[AsyncConnection, Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        gather: float = 0.0,
        begin: Callable[[], AbstractAsyncContextManager[AsyncConnection]] | None = None,
    ) -> None:
        """`gather`: the seconds for which the first item of a transaction waits for others.

        `begin`: opens the transaction; `Database.statement` where `store` runs a single statement.
        """
        self._begin, self._store, self._gather = begin or db.transaction, store, gather
        self._gathering = False
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._transactions: set[asyncio.Task[None]] = set()

    async def accept(self, item: Item) -> Answer:
        """Return when the item and everything that follows from it are committed.

        Raises what `store` raises for this item; an error of another item is not raised here.
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
                    return  # the other transaction takes these items too
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
                    if not answer.done():  # the caller may have been cancelled
                        answer.set_exception(error)
                return
            for one in batch:  # each in its own transaction, so that only the faulty one fails
                await self._take([one])
            return
        for (_, answer), result in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(result)


def _nobody_answers(error: Exception) -> bool:
    """Whether the cause is a database that is down, full or busy, and not one of the items.

    To try each item on its own would then make the last one wait as often as there are items.
    """
    if isinstance(error, PoolTimeout | OSError):
        return True
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DBAPIError) and (not state or state.startswith(_OUT_OF_ORDER))
