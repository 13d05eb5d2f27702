"""Events of many requests share transactions, but a failure affects only its own request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.database import Database
from store.engine.errors import UnstorableError
from store.engine.group_commit import MOST, TRANSACTIONS, GroupCommit
from store.runs.events.events import Event, accept_many
from tests.api.messages import rows


def happened(number: int, **more: object) -> Event:
    return Event(f"e-{number}", f"user-{number % 7}", "page.viewed", {"n": number} | more)


def noting(db: Database, begun: list[object]) -> Callable[[], AbstractAsyncContextManager[AsyncConnection]]:
    """A function that begins transactions and records each."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[AsyncConnection]:
        async with db.transaction() as tx:
            begun.append(tx)
            yield tx

    return begin


async def test_a_hundred_at_once_take_a_few_transactions_and_all_are_stored(db: Database) -> None:
    begun: list[object] = []
    commits = GroupCommit(db, accept_many, begin=noting(db, begun))
    accepted = await asyncio.gather(*(commits.accept(happened(number)) for number in range(100)))
    assert not any(one.duplicate for one in accepted)
    assert await rows(db, "SELECT count(*) FROM event") == [(100,)]
    assert len(begun) <= TRANSACTIONS + 100 // MOST + 2


async def test_an_answer_comes_after_the_commit(db: Database) -> None:
    commits = GroupCommit(db, accept_many)

    async def ask(number: int) -> None:
        await commits.accept(happened(number))
        assert await rows(db, f"SELECT 1 FROM event WHERE event_id = 'e-{number}'") == [(1,)]

    await asyncio.gather(*(ask(number) for number in range(20)))


async def test_a_faulty_event_does_not_touch_its_neighbours(db: Database) -> None:
    commits = GroupCommit(db, accept_many)
    wishes = [commits.accept(happened(n, text="\x00" if n == 3 else "fine")) for n in range(10)]
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    assert isinstance(answers[3], UnstorableError)
    assert [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)] == [3]
    assert await rows(db, "SELECT count(*) FROM event") == [(9,)]


async def test_a_caller_who_goes_away_does_not_cost_the_others_their_answer(db: Database) -> None:
    commits = GroupCommit(db, accept_many)
    tasks = [asyncio.create_task(commits.accept(happened(number))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert not any(isinstance(answer, BaseException) for answer in answers[1:])


async def test_a_database_that_is_away_is_told_to_all_at_once_and_asked_again_later(db: Database) -> None:
    gone = GroupCommit(Database("postgresql://nobody@127.0.0.1:9/nothing"), accept_many)
    answers = await asyncio.gather(*(gone.accept(happened(number)) for number in range(5)), return_exceptions=True)
    assert all(isinstance(answer, OperationalError) for answer in answers)
    with pytest.raises(OperationalError):
        await gone.accept(happened(9))


async def test_a_pool_without_a_free_connection_is_told_to_all_at_once(postgres_url: str) -> None:
    small = Database(postgres_url, 1, patience=0.5)
    commits = GroupCommit(small, accept_many)
    async with small.transaction(), asyncio.timeout(10):  # one after another they would wait for 30 s
        answers = await asyncio.gather(
            *(commits.accept(happened(number)) for number in range(60)), return_exceptions=True
        )
    assert all(isinstance(answer, PoolTimeout) for answer in answers)
    assert not (await commits.accept(happened(9))).duplicate
    await small.close()


async def test_the_same_event_in_one_transaction_counts_once(db: Database) -> None:
    commits = GroupCommit(db, accept_many)
    answers = await asyncio.gather(*(commits.accept(happened(1)) for _ in range(10)))
    assert sum(not answer.duplicate for answer in answers) == 1


async def test_who_is_in_no_hurry_shares_a_transaction_with_those_that_come_a_moment_later(db: Database) -> None:
    begun: list[object] = []
    commits = GroupCommit(db, accept_many, gather=0.2, begin=noting(db, begun))

    async def ask(number: int) -> None:
        await asyncio.sleep(number * 0.01)
        await commits.accept(happened(number))

    await asyncio.gather(*(ask(number) for number in range(10)))
    assert len(begun) == 1
    assert await rows(db, "SELECT count(*) FROM event") == [(10,)]


async def test_a_full_transaction_waits_for_nobody(db: Database) -> None:
    commits = GroupCommit(db, accept_many, gather=30.0)
    await asyncio.wait_for(asyncio.gather(*(commits.accept(happened(number)) for number in range(MOST))), 10)
