"""Commands that travel together are answered as if each had travelled alone, whatever fails or is given up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import text

from store.wire import Answer, Asked, RefusedError, Wire

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
def wire(driver: psycopg.AsyncConnection[Any]) -> Wire:
    return Wire(driver)


def put(number: int) -> Asked:
    return Asked(PUT, {"n": number})


def counting(word: str | None = "so many") -> Asked:
    return Asked(COUNT, {"word": word})


async def test_each_is_answered_in_order(wire: Wire) -> None:
    answers = await wire.fly([put(1), put(2), counting(), Asked(text("DELETE FROM number"), {})])
    assert answers == [
        Answer(("n",), [(1,)], 1),
        Answer(("n",), [(2,)], 1),
        Answer(("all_of_them", "word"), [(2, "so many")], 1),
        Answer((), (), 2),
    ]


async def test_a_transaction_begins_and_ends_with_what_travels(wire: Wire) -> None:
    await wire.fly([put(1)], begin=True)
    assert wire.in_transaction()
    await wire.fly([put(2)], begin=True, commit=True)
    assert not wire.in_transaction()
    await wire.fly([put(3)], begin=True)
    await wire.rollback()
    assert not wire.in_transaction()
    (answer,) = await wire.fly([counting()])
    assert answer.rows == [(2, "so many")]


async def test_nothing_to_do_sends_nothing(wire: Wire) -> None:
    assert await wire.fly(begin=False, commit=True) == []
    assert not wire.in_transaction()


async def test_a_statement_is_prepared_once_for_each_combination_of_types(
    wire: Wire, driver: psycopg.AsyncConnection[Any]
) -> None:
    for number in (1, 100_000, 2, 200_000):  # psycopg takes the small ones for smallint
        await wire.fly([put(number)])
    prepared = await (await driver.execute("SELECT statement FROM pg_prepared_statements")).fetchall()
    assert len(prepared) == 2


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_of_a_flight_with_a_refused_statement_nothing_stays(wire: Wire, place: int, commit: bool) -> None:
    """Also where PostgreSQL had not prepared those after it, which it then leaves out."""
    await wire.fly([put(0)])
    flight = [put(1), put(2)]
    flight.insert(place, put(0))
    flight.append(counting())
    with pytest.raises(RefusedError) as refused:
        await wire.fly(flight, begin=True, commit=commit)
    assert refused.value.asked is flight[place]
    assert isinstance(refused.value.error, psycopg.errors.UniqueViolation)
    assert wire.in_transaction()
    await wire.rollback()
    (answer,) = await wire.fly([counting()])
    assert answer.rows == [(1, "so many")]


async def test_a_refused_commit_is_told_as_such(wire: Wire, driver: psycopg.AsyncConnection[Any]) -> None:
    await driver.execute("CREATE TEMP TABLE later (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(RefusedError) as refused:
        await wire.fly([Asked(text("INSERT INTO later VALUES (1), (1)"), {})], begin=True, commit=True)
    assert refused.value.asked is None
    assert not wire.in_transaction()


async def test_what_is_given_up_leaves_the_connection_usable(wire: Wire) -> None:
    """At whatever moment: before it is sent, on the way, between two answers, at the COMMIT."""
    nap = Asked(text("SELECT pg_sleep(:seconds)"), {"seconds": 0.004})
    dice = random.Random(4)
    sent = 0
    for number in range(60):
        flying = asyncio.create_task(wire.fly([put(number), nap, nap, counting()], begin=True, commit=True))
        await asyncio.sleep(dice.uniform(0, 0.012))
        flying.cancel()
        try:
            await flying
            sent += 1
        except asyncio.CancelledError:
            assert not wire.closed
        if wire.in_transaction():
            await wire.rollback()
    (answer,) = await wire.fly([counting()])
    assert sent <= answer.rows[0][0] <= 60
    assert 0 < sent < 60, "some went through, some did not"


async def test_a_connection_that_is_lost_amid_a_flight_is_closed(wire: Wire) -> None:
    lose = Asked(text("SELECT pg_terminate_backend(pg_backend_pid())"), {})
    with pytest.raises((RefusedError, psycopg.OperationalError)):
        await wire.fly([put(1), lose, put(2)], begin=True, commit=True)
    assert wire.closed


async def test_more_than_a_socket_takes_at_once_goes_both_ways(wire: Wire) -> None:
    echo = text("SELECT CAST(:text AS text) AS text")
    long = [str(number) * 400_000 for number in range(10)]
    answers = await wire.fly([Asked(echo, {"text": one}) for one in long], begin=True, commit=True)
    assert [answer.rows[0][0] for answer in answers] == long


async def test_beside_the_drivers_own_cursors_it_is_one_transaction(
    wire: Wire, driver: psycopg.AsyncConnection[Any]
) -> None:
    await wire.fly([put(1)], begin=True)
    await driver.execute("INSERT INTO number VALUES (2)")
    await wire.rollback()
    (answer,) = await wire.fly([counting()])
    assert answer.rows == [(0, "so many")]
    await wire.fly([put(1)])  # prepared before the rollback
