"""Pipelined commands have the same results as single ones, also after failures and cancellations."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import text

from store.engine.pipeline import Answer, Pipeline, RefusedError, Statement

PUT = text("INSERT INTO number (n) VALUES (:n) RETURNING n")
COUNT = text("SELECT count(*) AS all_of_them, CAST(:word AS text) AS word FROM number")


@pytest_asyncio.fixture
async def driver(postgres_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(
        postgres_url, autocommit=True, prepare_threshold=None
    ) as connection:
        await connection.execute("CREATE TEMP TABLE number (n int PRIMARY KEY)")
        yield connection


@pytest.fixture
def pipeline(driver: psycopg.AsyncConnection[Any]) -> Pipeline:
    return Pipeline(driver)


def put(number: int) -> Statement:
    return Statement(PUT, {"n": number})


def counting(word: str | None = "so many") -> Statement:
    return Statement(COUNT, {"word": word})


async def test_each_is_answered_in_order(pipeline: Pipeline) -> None:
    answers = await pipeline.fly([put(1), put(2), counting(), Statement(text("DELETE FROM number"), {})])
    assert answers == [
        Answer(("n",), [(1,)], 1),
        Answer(("n",), [(2,)], 1),
        Answer(("all_of_them", "word"), [(2, "so many")], 1),
        Answer((), (), 2),
    ]


async def test_a_transaction_begins_and_ends_with_what_travels(pipeline: Pipeline) -> None:
    await pipeline.fly([put(1)], begin=True)
    assert pipeline.in_transaction()
    await pipeline.fly([put(2)], begin=True, commit=True)
    assert not pipeline.in_transaction()
    await pipeline.fly([put(3)], begin=True)
    await pipeline.rollback()
    assert not pipeline.in_transaction()
    (answer,) = await pipeline.fly([counting()])
    assert answer.rows == [(2, "so many")]


async def test_nothing_to_do_sends_nothing(pipeline: Pipeline) -> None:
    assert await pipeline.fly(begin=False, commit=True) == []
    assert not pipeline.in_transaction()


async def test_a_statement_is_prepared_once_for_each_combination_of_types(
    pipeline: Pipeline, driver: psycopg.AsyncConnection[Any]
) -> None:
    for number in (1, 100_000, 2, 200_000):  # psycopg takes the small ones for smallint
        await pipeline.fly([put(number)])
    prepared = await (await driver.execute("SELECT statement FROM pg_prepared_statements")).fetchall()
    assert len(prepared) == 2


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_of_a_flight_with_a_refused_statement_nothing_stays(pipeline: Pipeline, place: int, commit: bool) -> None:
    """Also if later statements were not prepared yet, which PostgreSQL then skips."""
    await pipeline.fly([put(0)])
    flight = [put(1), put(2)]
    flight.insert(place, put(0))
    flight.append(counting())
    with pytest.raises(RefusedError) as refused:
        await pipeline.fly(flight, begin=True, commit=commit)
    assert refused.value.asked is flight[place]
    assert isinstance(refused.value.error, psycopg.errors.UniqueViolation)
    assert pipeline.in_transaction()
    await pipeline.rollback()
    (answer,) = await pipeline.fly([counting()])
    assert answer.rows == [(1, "so many")]


async def test_a_refused_commit_is_told_as_such(pipeline: Pipeline, driver: psycopg.AsyncConnection[Any]) -> None:
    await driver.execute("CREATE TEMP TABLE later (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(RefusedError) as refused:
        await pipeline.fly([Statement(text("INSERT INTO later VALUES (1), (1)"), {})], begin=True, commit=True)
    assert refused.value.asked is None
    assert not pipeline.in_transaction()


async def test_what_is_given_up_leaves_the_connection_usable(pipeline: Pipeline) -> None:
    """At any moment: before sending, during sending, between two answers, at the COMMIT."""
    nap = Statement(text("SELECT pg_sleep(:seconds)"), {"seconds": 0.004})
    dice = random.Random(4)
    sent = 0
    for number in range(60):
        flying = asyncio.create_task(pipeline.fly([put(number), nap, nap, counting()], begin=True, commit=True))
        await asyncio.sleep(dice.uniform(0, 0.012))
        flying.cancel()
        try:
            await flying
            sent += 1
        except asyncio.CancelledError:
            assert not pipeline.closed
        if pipeline.in_transaction():
            await pipeline.rollback()
    (answer,) = await pipeline.fly([counting()])
    assert sent <= answer.rows[0][0] <= 60
    assert 0 < sent < 60, "some went through, some did not"


async def test_a_connection_that_is_lost_amid_a_flight_is_closed(pipeline: Pipeline) -> None:
    lose = Statement(text("SELECT pg_terminate_backend(pg_backend_pid())"), {})
    with pytest.raises((RefusedError, psycopg.OperationalError)):
        await pipeline.fly([put(1), lose, put(2)], begin=True, commit=True)
    assert pipeline.closed


async def test_more_than_a_socket_takes_at_once_goes_both_ways(pipeline: Pipeline) -> None:
    echo = text("SELECT CAST(:text AS text) AS text")
    long = [str(number) * 400_000 for number in range(10)]
    answers = await pipeline.fly([Statement(echo, {"text": one}) for one in long], begin=True, commit=True)
    assert [answer.rows[0][0] for answer in answers] == long


async def test_beside_the_drivers_own_cursors_it_is_one_transaction(
    pipeline: Pipeline, driver: psycopg.AsyncConnection[Any]
) -> None:
    await pipeline.fly([put(1)], begin=True)
    await driver.execute("INSERT INTO number VALUES (2)")
    await pipeline.rollback()
    (answer,) = await pipeline.fly([counting()])
    assert answer.rows == [(0, "so many")]
    await pipeline.fly([put(1)])  # prepared before the rollback
