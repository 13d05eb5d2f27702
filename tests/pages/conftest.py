"""One local stack and one Chromium for all tests of the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from infra.launch.stack import Addresses
from store.engine.database import Database
from store.operations import api_keys
from tests.api.client import Api
from tests.pages.api_calls import PATIENCE, ApiCalls
from tests.pages.browsing import ARGUMENTS, Visits, find_chromium
from tests.pages.stack import running_stack
from tests.support.databases import TestServer


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Skip before anything is started. It is done here and not in a fixture, so that pytest reports it in one line."""
    find_chromium()


@pytest.fixture(scope="session")
def stack(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Everything that `./run` starts."""
    with (
        postgres_server.fresh_database() as url,
        running_stack(tmp_path_factory.mktemp("stack") / "data", url) as addresses,
    ):
        yield addresses


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def db(stack: Addresses) -> AsyncIterator[Database]:
    """The stack's database."""
    database = Database(stack.database, pool_size=2)
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def calls(stack: Addresses, db: Database) -> AsyncIterator[ApiCalls]:
    """The API with a key; the two tracks of the tests are published."""
    async with db.transaction() as tx:
        _, key = await api_keys.create(tx, "pages")
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False, timeout=30) as client:
        calls = ApiCalls(stack, Api(client, key), client)
        await calls.publish()
        yield calls


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE * 1000)
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visits(browser: Browser, stack: Addresses) -> AsyncIterator[Visits]:
    """Opens pages. At the end, no page may have console errors or requests to other hosts."""
    visits = Visits(browser, (stack.api, stack.sandbox))
    yield visits
    await visits.close()
    assert visits.problems == []
