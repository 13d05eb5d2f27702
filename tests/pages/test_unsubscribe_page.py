"""The page that contacts see: leaving takes one press, and only a press."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from store import suppressions
from store.database import Database
from tests.pages.accessible import hindrances, tab_through
from tests.pages.browsing import PHONE, SMALL_PHONE, Visits
from tests.pages.office import Office, Person, step

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("pages")]


async def way_out(office: Office, person: Person) -> str:
    """The link at the bottom of the person's first email."""
    [message] = await office.messages(person.email)
    link: str = message["links"][-1]["url"]
    assert link.startswith(f"{office.stack.api}/u/")
    return link


async def suppressed(db: Database, person: Person) -> bool:
    async with db.transaction() as tx:
        return await suppressions.find(tx, "email", person.email) is not None


async def test_leaving_works_on_a_phone_without_javascript(office: Office, visits: Visits, db: Database) -> None:
    person = await office.enroll("tour-mails", "Margaret")
    page = await visits.open(await way_out(office, person), size=PHONE, javascript=False)
    await page.get_by_role("button", name="Unsubscribe").tap()
    await expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    assert await suppressed(db, person)

    await office.waits_at(person, "clicked")
    await office.api.event(person.id, "email.clicked")
    shown = await office.waits_at(person, "later")
    more = step(shown, "more")
    assert more and (more["outcome"], more["detail"]) == ("skipped", "suppressed: unsubscribed")


async def test_opening_the_page_changes_nothing(office: Office, visits: Visits, db: Database) -> None:
    person = await office.enroll("tour-mails", "Radia")
    link = await way_out(office, person)
    for _ in range(2):  # mail programs and scanners open links, run the page's scripts, and come again
        page = await visits.open(link)
        await expect(page.get_by_role("heading", name="Unsubscribe?")).to_be_visible()
    assert (await office.client.head(link)).status_code in (200, 405)
    assert not await suppressed(db, person)


async def test_the_keyboard_is_enough(office: Office, visits: Visits, db: Database) -> None:
    person = await office.enroll("tour-mails", "Hedy")
    page = await visits.open(await way_out(office, person))
    assert "Unsubscribe" in await tab_through(page, 1)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_contain_text("We will not email you again.")
    assert await suppressed(db, person)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_nothing_hinders_people_on_it(office: Office, visits: Visits, *, dark: bool) -> None:
    person = await office.enroll("tour-mails", "Rosalind")
    page = await visits.open(await way_out(office, person), size=SMALL_PHONE, dark=dark)
    assert await hindrances(page) == []
    await page.get_by_role("button", name="Unsubscribe").tap()
    await expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    assert await hindrances(page) == []
