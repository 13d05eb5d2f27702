from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from store.engine.database import Database, driver_url
from store.engine.errors import UnstorableError
from store.people import contacts
from tests.store.store_calls import TRIAL, StoreCalls


async def test_transaction_that_fails_leaves_nothing(db: Database, store: StoreCalls) -> None:
    async def fail() -> None:
        async with db.transaction() as tx:
            await contacts.upsert(tx, "ann", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with db.transaction() as tx:
        assert await contacts.get(tx, "ann") is None


async def test_a_statement_by_itself_is_committed_and_the_next_transaction_on_its_connection_is_one_again(
    postgres_url: str,
) -> None:
    db = Database(postgres_url, pool_size=1)
    async with db.statement() as only:
        await contacts.upsert(only, "ann", {})

    async def fail() -> None:
        async with db.transaction() as tx:
            await contacts.upsert(tx, "bob", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(UnstorableError):
        async with db.statement() as only:
            await contacts.upsert(only, "eve", contacts.Changes(locale="a\x00b"))
    async with db.transaction() as tx:
        assert [await contacts.get(tx, who) is not None for who in ("ann", "bob", "eve")] == [True, False, False]
    await db.close()


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
async def test_text_that_postgres_cannot_hold_is_told_apart_from_a_fault(db: Database, value: str) -> None:
    for changes in (contacts.Changes(locale=value), contacts.Changes(attributes={"name": value})):
        with pytest.raises(UnstorableError):
            async with db.transaction() as tx:
                await contacts.upsert(tx, "ann", changes)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
def test_every_usual_scheme_means_the_same_driver(scheme: str) -> None:
    assert driver_url(f"{scheme}://u:p@h:1/d").render_as_string(False) == "postgresql+psycopg://u:p@h:1/d"


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", ""])
def test_other_databases_are_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        driver_url(url)


async def test_listener_hears_of_rows_when_they_are_committed(db: Database, store: StoreCalls) -> None:
    await store.publish(TRIAL)
    await store.contact()
    async with db.listener() as listener:
        assert not await listener.wait(0.05)
        waiting = asyncio.create_task(listener.wait(10))
        await store.enrolled("trial")
        assert await waiting


async def test_one_relay_leads_until_it_is_gone(db: Database) -> None:
    async with db.listener() as second:
        async with db.listener() as first:
            assert await first.lead()
            assert not await second.lead()
        for _ in range(100):
            if await second.lead():
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the lead was never free")


async def test_ids_come_back_as_text(db: Database) -> None:
    async with db.transaction() as tx:
        value = (await tx.execute(text("SELECT gen_random_uuid()"))).scalar_one()
    assert isinstance(value, str)
