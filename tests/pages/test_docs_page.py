"""The API's documentation page works without any other host."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from infra.launch.stack import Addresses
from tests.pages.api_calls import ApiCalls
from tests.pages.browsing import PHONE, Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALL = "/v1/tracks"


@dataclass(frozen=True)
class Shown:
    """The page with all calls drawn, and the problems of opening it."""

    page: Page
    problems: list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shown(browser: Browser, stack: Addresses) -> AsyncIterator[Shown]:
    """Opened once, on a phone: to draw all calls takes five seconds of CPU."""
    visits = Visits(browser, (stack.api,))
    page = await visits.open(f"{stack.api}/docs", size=PHONE)
    await expect(page.locator(".opblock").first).to_be_visible()
    yield Shown(page, visits.problems)
    await visits.close()


def only(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one path and the schemas that it names."""
    paths = {path: document["paths"][path]}
    known = document["components"]["schemas"]
    schemas: dict[str, Any] = {}
    todo = [paths]
    while todo:
        for name in re.findall('"#/components/schemas/([^"]+)"', json.dumps(todo.pop())):
            if name not in schemas:
                schemas[name] = known[name]
                todo.append(known[name])
    return document | {"paths": paths, "components": document["components"] | {"schemas": schemas}}


async def test_every_call_is_shown_and_nothing_asks_another_host(calls: ApiCalls, shown: Shown) -> None:
    document = (await calls.client.get("/openapi.json")).json()
    count = sum(len(methods) for methods in document["paths"].values())
    await expect(shown.page.locator(".opblock")).to_have_count(count)
    await expect(shown.page.get_by_role("heading", name="Perennial")).to_be_visible()
    assert shown.problems == []


async def test_a_call_can_be_tried_with_a_key(calls: ApiCalls, stack: Addresses, visits: Visits) -> None:
    async def one_path(route: Route) -> None:
        await route.fulfill(json=only(CALL, await (await route.fetch()).json()))

    page = await visits.open("about:blank")
    # each press draws the page anew, so it has only this call
    await page.route("**/openapi.json", one_path)
    await page.goto(f"{stack.api}/docs")
    await page.get_by_role("button", name="Authorize").click()
    await page.get_by_label("auth-bearer-value").fill(calls.api.key)
    await page.get_by_role("button", name="Apply credentials").first.click()
    await page.get_by_role("button", name="Close").first.click()
    call = page.locator(f'.opblock-get:has([data-path="{CALL}"])')
    await call.locator(".opblock-summary-control").click()
    await call.get_by_role("button", name="Try it out").click()
    await call.get_by_role("button", name="Execute").click()
    await expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await expect(call.locator(".live-responses-table")).to_contain_text("tour-mails")


async def test_it_is_dark_where_the_browser_is(shown: Shown) -> None:
    page = shown.page.locator(".swagger-ui").first
    await shown.page.emulate_media(color_scheme="dark")
    await expect(page).to_have_css("background-color", "rgb(28, 32, 34)")
    await shown.page.emulate_media(color_scheme="light")
    await expect(page).not_to_have_css("background-color", "rgb(28, 32, 34)")


async def test_it_fits_a_phone(shown: Shown) -> None:
    assert await shown.page.evaluate("document.documentElement.scrollWidth - screen.width") <= 0
