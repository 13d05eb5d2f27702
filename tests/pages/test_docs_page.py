"""The API's documentation page works without any other host."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from infra.launch.stack import Addresses
from tests.pages.api_calls import ApiCalls
from tests.pages.browsing import PHONE, Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_call_is_shown_and_nothing_asks_another_host(
    calls: ApiCalls, stack: Addresses, visits: Visits
) -> None:
    document = (await calls.client.get("/openapi.json")).json()
    count = sum(len(methods) for methods in document["paths"].values())
    page = await visits.open(f"{stack.api}/docs")
    await expect(page.locator(".opblock")).to_have_count(count)
    await expect(page.get_by_role("heading", name="Perennial")).to_be_visible()


async def test_a_call_can_be_tried_with_a_key(calls: ApiCalls, stack: Addresses, visits: Visits) -> None:
    page = await visits.open(f"{stack.api}/docs")
    await page.get_by_role("button", name="Authorize").click()
    await page.get_by_label("auth-bearer-value").fill(calls.api.key)
    await page.get_by_role("button", name="Apply credentials").first.click()
    await page.get_by_role("button", name="Close").first.click()
    call = page.locator('.opblock-get:has([data-path="/v1/tracks"])')
    await call.locator(".opblock-summary-control").click()
    await call.get_by_role("button", name="Try it out").click()
    await call.get_by_role("button", name="Execute").click()
    await expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await expect(call.locator(".live-responses-table")).to_contain_text("tour-mails")


async def test_it_is_dark_where_the_browser_is(stack: Addresses, visits: Visits) -> None:
    grounds = []
    for dark in (False, True):
        page = await visits.open(f"{stack.api}/docs", dark=dark)
        await expect(page.locator(".opblock").first).to_be_visible()
        grounds.append(await page.evaluate("getComputedStyle(document.querySelector('.swagger-ui')).backgroundColor"))
    assert grounds[1] == "rgb(28, 32, 34)" != grounds[0]


async def test_it_fits_a_phone(stack: Addresses, visits: Visits) -> None:
    page = await visits.open(f"{stack.api}/docs", size=PHONE)
    await expect(page.locator(".opblock").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth - screen.width") <= 0
