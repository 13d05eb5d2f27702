"""Every page of the inbox on every screen: named controls, readable text, no sideways scrolling."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import ViewportSize, expect

from infra.launch.stack import Addresses
from tests.pages.accessibility import accessibility_problems, tab_through
from tests.pages.api_calls import ApiCalls
from tests.pages.browsing import DESK, PHONE, SMALL_PHONE, Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCREENS = {"desk": (DESK, False), "dark-desk": (DESK, True), "phone": (PHONE, False), "small": (SMALL_PHONE, True)}


@dataclass(frozen=True)
class Filled:
    """An inbox with messages of every kind, also with very long names."""

    pages: dict[str, str]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def filled(calls: ApiCalls, stack: Addresses) -> Filled:
    # each check takes longer with every message of earlier tests that the list shows
    assert (await calls.client.post(f"{stack.sandbox}/_control/reset")).is_success
    long = f"an.address.that.is.longer.than.a.screen.{'x' * 24}@people-with-long-names.test"
    reader = await calls.enroll("tour-mails", "Wolfeschlegelsteinhausenbergerdorff" * 3, email=long)
    texter = await calls.enroll("tour-texts", "Ada")
    [mail] = await calls.messages(reader.email)
    [text] = await calls.messages(texter.phone)
    await calls.client.post(f"{stack.sandbox}/hooks/crm?source=tour", json={"type": "x" * 200, "list": [1, 2]})
    act = f"{stack.sandbox}/_control/actions"
    for action in ("open", "click", "bounce", "complain"):
        assert (await calls.client.post(act, json={"message": mail["id"], "action": action})).is_success
    words = {"message": text["id"], "action": "reply", "text": "Yes " + "really" * 40}
    assert (await calls.client.post(act, json=words)).is_success
    [hook] = (await calls.client.get(f"{stack.sandbox}/_control/messages?channel=webhook&wait=5")).json()["messages"]
    base = stack.sandbox
    return Filled(
        {
            "list": base,
            "email": f"{base}/m/{mail['id']}",
            "phone": f"{base}/m/{text['id']}",
            "webhook": f"{base}/m/{hook['id']}",
            "nothing found": f"{base}/?to=nobody",
        }
    )


@pytest.mark.parametrize(("size", "dark"), SCREENS.values(), ids=SCREENS)
async def test_nothing_hinders_people(filled: Filled, visits: Visits, size: ViewportSize, *, dark: bool) -> None:
    found: dict[str, list[str]] = {}
    page = await visits.open("about:blank", size=size, dark=dark)
    for name, address in filled.pages.items():
        await page.goto(address)
        found[name] = await accessibility_problems(page)
        if name == "email":
            for tab in ("Text", "Headers", "Activity"):
                await page.locator("label").get_by_text(tab, exact=True).click()
                found[f"{name}: {tab}"] = await accessibility_problems(page, within="#main")
    assert {name: problems for name, problems in found.items() if problems} == {}


async def test_the_tab_key_reaches_everything_and_shows_where_it_is(filled: Filled, visits: Visits) -> None:
    page = await visits.open(filled.pages["email"])
    reached = await tab_through(page)
    for name in ("Address or subject", "All", "SMS", "Unsubscribe", "Bounce", "Mark as spam", "Email", "The email"):
        assert name in reached
    await page.get_by_role("radio", name="Email").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("pre")).to_contain_text("Good to have you")


async def test_a_phone_shows_the_list_or_the_message_and_a_way_back(filled: Filled, visits: Visits) -> None:
    page = await visits.open(filled.pages["email"], size=PHONE)
    listing = page.get_by_role("navigation", name="Messages")
    await expect(listing).to_be_hidden()
    await page.get_by_role("link", name="Back to the list").tap()
    await expect(listing).to_be_visible()
    await expect(page.get_by_role("article")).to_have_count(0)


async def test_the_keyboard_reaches_the_message_at_once(filled: Filled, visits: Visits) -> None:
    page = await visits.open(filled.pages["email"])
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    inside = await page.evaluate("document.getElementById('main').contains(document.activeElement)")
    assert inside
    assert await page.get_by_role("heading", level=2).all_inner_texts() != []
