"""The CRM's pages for salespeople: by a link, by buttons, without scripts, on every screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import ViewportSize, expect

from store.engine.database import Database
from tests.api.crm_calls import make_task
from tests.pages.accessibility import accessibility_problems, tab_through
from tests.pages.api_calls import ApiCalls
from tests.pages.browsing import DESK, PHONE, SMALL_PHONE, Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 2


async def link(calls: ApiCalls, person: str = "ada") -> str:
    answer = await calls.api.call("POST", f"/v1/crm/people/{person}/sign-in-link", json={})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


async def lead(calls: ApiCalls, db: Database, name: str) -> tuple[str, str]:
    """A contact with a task: their ids."""
    answer = await calls.api.contact(name, email=f"{name[:40]}@people.test", attributes={"first_name": LONG})
    assert answer.is_success, answer.text
    return name, await make_task(db, name, f"Call {name}", "ada", datetime.now(UTC) + timedelta(days=1))


async def test_a_salesperson_signs_in_and_does_a_task_on_a_phone_without_javascript(
    calls: ApiCalls, visits: Visits, db: Database
) -> None:
    contact, task = await lead(calls, db, "crm-lead-1")
    page = await visits.open(await link(calls), size=PHONE, javascript=False)
    await page.get_by_role("button", name="Sign in as ada").tap()
    await expect(page.get_by_role("heading", name="Open tasks")).to_be_visible()
    await page.get_by_role("link", name="Mine").tap()
    await page.get_by_role("link", name=f"Call {contact}").tap()
    await expect(page.get_by_role("heading", name=contact)).to_be_visible()
    await page.get_by_label("A note about how it went").fill("Wants an offer")
    await page.get_by_role("button", name="Accept").tap()
    await expect(page.get_by_text("There is nothing to do for this contact.")).to_be_visible()
    await expect(page.get_by_text("accepted by ada")).to_be_visible()
    await page.get_by_label("Stage (empty for none)").fill("opportunity")
    await page.get_by_role("button", name="Save the stage").tap()
    await page.get_by_label("A new note").fill("Likes tea")
    await page.get_by_role("button", name="Add the note").tap()
    await expect(page.get_by_text("Likes tea")).to_be_visible()
    await page.reload()  # each button leads on to the page, so that loading it again does nothing twice
    card = (await calls.api.get(f"/v1/contacts/{contact}/crm")).json()
    assert card["stage"] == "opportunity"
    assert [one["body"] for one in card["notes"]] == ["Likes tea", "Wants an offer"]
    assert (await calls.api.get(f"/v1/crm/tasks/{task}")).json()["outcome"] == "accepted"
    await page.get_by_role("button", name="Sign out").tap()
    await expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    visits.problems.clear()  # the status 401, which the browser notes


SCREENS = {"desk": (DESK, False), "dark-desk": (DESK, True), "phone": (PHONE, True), "small": (SMALL_PHONE, False)}


@pytest.mark.parametrize(("size", "dark"), SCREENS.values(), ids=SCREENS)
async def test_nothing_hinders_people(
    calls: ApiCalls, visits: Visits, db: Database, size: ViewportSize, *, dark: bool
) -> None:
    contact, _ = await lead(calls, db, f"crm-lead-2-{LONG}")
    body = {"body": "x" * 300, "author": "ada", "id": "long"}
    assert (await calls.api.call("POST", f"/v1/contacts/{contact}/crm/notes", json=body)).is_success
    found: dict[str, list[str]] = {}
    page = await visits.open(await link(calls), size=size, dark=dark)
    found["sign in"] = await accessibility_problems(page)
    await page.get_by_role("button", name="Sign in as ada").click()
    found["tasks"] = await accessibility_problems(page)
    await page.get_by_role("link", name=f"Call {contact}").click()
    found["contact"] = await accessibility_problems(page)
    assert {name: problems for name, problems in found.items() if problems} == {}


async def test_the_tab_key_reaches_everything(calls: ApiCalls, visits: Visits, db: Database) -> None:
    contact, _ = await lead(calls, db, "crm-lead-3")
    page = await visits.open(await link(calls))
    await page.get_by_role("button", name="Sign in as ada").click()
    await page.get_by_role("link", name=f"Call {contact}").click()
    reached = await tab_through(page)
    for name in ("Done", "Accept", "Reject", "Save the stage", "Add the note", "Sign out"):
        assert name in reached
