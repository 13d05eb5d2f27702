"""What operators see in Temporal's UI: the position of each contact in plain words, and no personal data."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from infra.launch.stack import Addresses
from infra.launch.temporal import NAMESPACE, SEARCH_ATTRIBUTES
from infra.launch.ui_links import COLUMNS
from tests.pages.api_calls import ApiCalls, Person
from tests.pages.browsing import Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVERYONE = 'WorkflowType="NurtureTrack"'
"""The query of the link that `./run` prints."""
OF_THE_TRACK = ("tour-mails, version 1", "Shows newcomers around.", "Owner: growth.")
WAITING = f'{EVERYONE} AND Track="tour-mails" AND State="waiting" AND Step="clicked" AND NextActionAt IS NOT NULL'


def workflows(stack: Addresses, query: str) -> str:
    return f"{stack.ui}/namespaces/{NAMESPACE}/workflows?query={quote(query)}"


def run_of(person: Person) -> str:
    """The workflow id of the person's run."""
    return f"nurture/tour-mails/{person.id}"


async def turn_to(page: Page, tab: str) -> None:
    """Open a tab of a run."""
    await page.get_by_role("link", name=tab).or_(page.get_by_role("tab", name=tab)).first.click()


async def words(page: Page) -> str:
    """The text of the page, including frames."""
    return "\n".join([await frame.locator("body").inner_text() for frame in page.frames])


def assert_nothing_personal(said: str, person: Person) -> None:
    for personal in (person.email, person.phone, person.first_name):
        assert personal not in said


async def test_the_links_list_the_runs_by_track_and_contact(calls: ApiCalls, stack: Addresses, visits: Visits) -> None:
    person = await calls.enroll("tour-mails", "Lovelace")
    await calls.waits_at(person, "clicked")
    page = await visits.open("about:blank")
    for query in (WAITING, EVERYONE):
        await page.goto(workflows(stack, query))
        run = page.get_by_role("link", name=run_of(person)).first
        await expect(page.get_by_role("button", name="Refresh")).to_be_visible()
        while not await run.is_visible():  # Temporal's list shows runs with a delay
            await page.get_by_role("button", name="Refresh").click()
            await page.wait_for_timeout(300)
        assert_nothing_personal(await words(page), person)


async def test_the_columns_that_the_pages_name_can_be_added(stack: Addresses, visits: Visits) -> None:
    page = await visits.open(workflows(stack, EVERYONE))
    await page.get_by_role("button", name="Configure Columns").click()
    for column in COLUMNS:
        await page.get_by_role("button", name=f"Add {column} column", exact=True).click()
    for column in COLUMNS:
        await expect(page.get_by_role("columnheader", name=column, exact=True)).to_be_attached()


async def test_a_run_tells_its_steps_its_wait_and_its_story(calls: ApiCalls, stack: Addresses, visits: Visits) -> None:
    person = await calls.enroll("tour-mails", "Hopper")
    await calls.waits_at(person, "clicked")
    page = await visits.open(f"{stack.ui}/namespaces/{NAMESPACE}/workflows/{quote(run_of(person), safe='')}")
    await turn_to(page, "Event History")
    history = page.get_by_role("table").filter(has_text="Timer Started")
    await expect(history).to_contain_text("hello: email")
    await expect(history).to_contain_text("clicked: ")
    said = await words(page)
    await page.get_by_text("Compact", exact=True).click()
    await expect(page.get_by_role("row").filter(has_text="send_email_now")).to_contain_text("hello: email")

    await turn_to(page, "User Metadata")
    await expect(page.get_by_text("Current Details")).to_be_visible()
    details = page.frame_locator("#user-metadata-current-details").get_by_text("At step clicked: waiting")
    await expect(details).to_be_visible()
    said += await words(page)
    for line in (
        f"contact {person.id}",
        "Waiting for the event email.clicked.",
        "Sent: 1 email.",
        "hello sent",
        *OF_THE_TRACK,
    ):
        assert line in said

    await turn_to(page, "Search Attributes")
    for name in SEARCH_ATTRIBUTES:
        await expect(page.get_by_text(f'"{name}"')).to_be_visible()
    assert_nothing_personal(said + await words(page), person)
