"""Textual SQL is passed directly to the driver, with the same rows and errors as through SQLAlchemy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import literal_column, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.database import Database
from store.engine.driver_sql import DirectConnection, Rows, later
from store.engine.pipeline import Statement

SAMPLE = text("""
    SELECT CAST(:n AS int) AS n, '50 %' || CAST(:words AS text) AS words, now() AS at,
        '{"a": [1]}'::jsonb AS data, CAST(:list AS text[]) AS list, gen_random_uuid() IS NOT NULL AS id
""")
VALUES = {"n": 3, "words": " :not a parameter", "list": ["x", None]}


async def test_rows_read_as_sqlalchemys_do(db: Database) -> None:
    async with db.transaction() as tx:
        assert isinstance(tx, DirectConnection)
        direct: Any = await tx.execute(SAMPLE, VALUES)
        usual: Any = await AsyncConnection.execute(tx, SAMPLE, VALUES)
        assert isinstance(direct, Rows)
        assert not isinstance(usual, Rows)
        ours, theirs = direct.mappings().one(), usual.mappings().one()
        assert dict(ours) == dict(theirs)
        assert (await tx.execute(SAMPLE, VALUES)).one().words == "50 % :not a parameter"
        assert [row.n for row in await tx.execute(text("SELECT n FROM generate_series(1, 3) n"))] == [1, 2, 3]
        assert len((await tx.execute(text("SELECT FROM generate_series(1, 2)"))).all()) == 2


async def test_what_answers_no_rows_says_how_many_it_touched(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("CREATE TEMP TABLE number (n int PRIMARY KEY) ON COMMIT DROP"))
        assert (await tx.execute(text("INSERT INTO number SELECT generate_series(1, 5)"))).rowcount == 5
        assert (await tx.execute(text("DELETE FROM number WHERE n > :n"), {"n": 3})).rowcount == 2


async def test_errors_are_sqlalchemys(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("CREATE TABLE once (n int PRIMARY KEY)"))
    with pytest.raises(IntegrityError) as refused:
        async with db.transaction() as tx:
            await tx.execute(text("INSERT INTO once VALUES (1), (1)"))
    assert getattr(refused.value.orig, "sqlstate", None) == "23505"
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM once"))).scalar_one() == 0


async def test_a_lost_connection_is_told_and_the_next_transaction_has_another(postgres_url: str) -> None:
    db = Database(postgres_url, 1)
    for _ in range(2):
        with pytest.raises(DBAPIError) as lost:
            async with db.transaction() as tx:
                await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert isinstance(lost.value, OperationalError)
        async with db.transaction() as tx:
            assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
    await db.close()


async def test_a_statement_that_is_given_up_does_not_cost_its_connection(postgres_url: str) -> None:
    db = Database(postgres_url, 1)

    async def wait() -> None:
        async with db.transaction() as tx:
            await tx.execute(text("SELECT pg_sleep(60)"))

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
    await db.close()


async def test_what_is_left_for_later_goes_first_and_with_the_commit(db: Database) -> None:
    await no_entries(db)
    async with db.transaction() as tx:
        tx.later(ENTER, {"word": "a"})
        assert (await tx.execute(text("SELECT count(*) FROM entry"))).scalar_one() == 1
        tx.later(ENTER, {"word": "b"})
        assert len((await tx.execute(select(literal_column("word")).select_from(text("entry")))).all()) == 2
        both = await tx.together(Statement(ENTER, {"word": "c"}), Statement(ENTER, {"word": "d"}))
        assert [rows.rowcount for rows in both] == [1, 1]
        tx.later(ENTER, {"word": "e"})
    async with db.statement() as connection:
        later(connection, ENTER, {"word": "f"})
    async with db.transaction() as tx:
        tx.later(ENTER, {"word": "taken back"})
        await tx.rollback()
    assert await words(db) == list("abcdef")


async def test_what_is_left_for_later_fails_the_transaction_at_its_end(db: Database) -> None:
    await no_entries(db)

    async def enter(*words: str, then: Exception | None = None) -> None:
        async with db.transaction() as tx:
            for word in words:
                tx.later(ENTER, {"word": word})
            if then is not None:
                raise then

    with pytest.raises(IntegrityError):
        await enter("a", "a")
    with pytest.raises(ZeroDivisionError):
        await enter("a", then=ZeroDivisionError())
    assert await words(db) == []


@pytest.mark.parametrize("fault", ["a", "\x00"])
async def test_a_savepoint_takes_back_its_own_block_and_no_more(db: Database, fault: str) -> None:
    """Also if the driver refuses a value before anything is sent."""
    await no_entries(db)

    async def enter(tx: DirectConnection, *words: str) -> None:
        async with tx.savepoint():
            for word in words:
                tx.later(ENTER, {"word": word})

    async with db.transaction() as tx:
        tx.later(ENTER, {"word": "a"})
        with pytest.raises(DBAPIError):
            await enter(tx, "b", fault)
        await enter(tx, "c")
        with pytest.raises(NotImplementedError):
            tx.begin_nested()
    assert await words(db) == ["a", "c"]


ENTER = text("INSERT INTO entry (word) VALUES (:word)")


async def no_entries(db: Database) -> None:
    async with db.transaction() as tx:
        tx.later(text("DROP TABLE IF EXISTS entry"), {})
        tx.later(text("CREATE TABLE entry (n serial, word text UNIQUE)"), {})


async def words(db: Database) -> list[str]:
    async with db.statement() as connection:
        return list((await connection.execute(text("SELECT word FROM entry ORDER BY n"))).scalars())
