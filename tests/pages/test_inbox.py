"""The inbox: people read, click, unsubscribe and reply, and their tracks react."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from infra.launch.stack import Addresses
from store.engine.database import Database
from store.people.consents import suppressions
from tests.pages.api_calls import ApiCalls, Person, step
from tests.pages.browsing import Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_email(page: Page, person: Person, subject: str) -> None:
    """Open an email from the list, as a reader does."""
    row = page.get_by_role("navigation", name="Messages").get_by_role("link").filter(has_text=person.email)
    await row.filter(has_text=subject).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"{subject}, {person.first_name}")


async def test_a_click_in_the_rendered_email_moves_the_enrolment_on(
    calls: ApiCalls, stack: Addresses, visits: Visits
) -> None:
    inbox = await visits.open(stack.sandbox)
    person = await calls.enroll("tour-mails", "Grace")
    await open_email(inbox, person, "Welcome")  # the list updates itself

    mail = inbox.frame_locator("iframe")
    await expect(mail.get_by_text("Good to have you, Grace.")).to_be_visible()
    await calls.waits_at(person, "clicked")
    async with inbox.expect_popup() as opened:
        await mail.get_by_role("link", name="Read the guide").click()
    guide = await opened.value
    await guide.wait_for_url(f"{stack.sandbox}/healthz")

    shown = await calls.waits_at(person, "later")
    clicked, more = step(shown, "clicked"), step(shown, "more")
    assert clicked and clicked["outcome"] == "happened"
    assert more and more["outcome"] == "sent"
    await expect(inbox.locator(".badges")).to_contain_text("Clicked")
    await open_email(inbox, person, "One more thing")


async def test_unsubscribing_in_the_inbox_ends_the_emails_and_says_why(
    calls: ApiCalls, stack: Addresses, visits: Visits, db: Database
) -> None:
    person = await calls.enroll("tour-mails", "Alan")
    await calls.waits_at(person, "clicked")
    inbox = await visits.open(stack.sandbox)
    await open_email(inbox, person, "Welcome")

    await inbox.get_by_role("button", name="Unsubscribe").click()
    await expect(inbox.locator(".badges")).to_contain_text("Unsubscribed")
    async with db.transaction() as tx:
        suppression = await suppressions.find(tx, "email", person.email)
    assert suppression and suppression.reason == "unsubscribed"

    async with inbox.expect_popup():
        await inbox.frame_locator("iframe").get_by_role("link", name="Read the guide").click()
    shown = await calls.waits_at(person, "later")
    more = step(shown, "more")
    assert more and (more["outcome"], more["detail"]) == ("skipped", "suppressed: unsubscribed")
    assert len(await calls.messages(person.email)) == 1


async def test_an_answer_typed_into_the_phone_reaches_the_track(
    calls: ApiCalls, stack: Addresses, visits: Visits
) -> None:
    person = await calls.enroll("tour-texts", "Barbara")
    await calls.waits_at(person, "answered")
    phone = await visits.open(f"{stack.sandbox}/?to={person.phone.removeprefix('+')}")
    await phone.get_by_role("link").filter(has_text=person.phone).click()
    thread = phone.locator(".thread")
    await expect(thread).to_contain_text("Shall we call, Barbara? Answer YES or STOP.")

    await phone.get_by_role("textbox", name="Reply").fill("Yes please, after ten")
    await phone.get_by_role("button", name="Send").click()

    shown = await calls.waits_at(person, "later")
    answered, thanks = step(shown, "answered"), step(shown, "thanks")
    assert answered and answered["outcome"] == "happened"
    assert thanks and thanks["outcome"] == "sent"
    await expect(thread.get_by_role("listitem")).to_have_count(3)
    await expect(thread.get_by_role("listitem").nth(1)).to_contain_text("Yes please, after ten")
    await expect(thread.get_by_role("listitem").last).to_contain_text("Thank you. Until tomorrow!")


async def test_stop_ends_the_texts_and_says_why(
    calls: ApiCalls, stack: Addresses, visits: Visits, db: Database
) -> None:
    person = await calls.enroll("tour-texts", "Edsger")
    await calls.waits_at(person, "answered")
    phone = await visits.open(f"{stack.sandbox}/?channel=sms", javascript=False)
    await phone.get_by_role("link").filter(has_text=person.phone).click()
    await phone.get_by_role("button", name="STOP").click()

    shown = await calls.waits_at(person, "later")
    thanks = step(shown, "thanks")
    assert thanks and (thanks["outcome"], thanks["detail"]) == ("skipped", "suppressed: stop")
    async with db.transaction() as tx:
        assert await suppressions.find(tx, "sms", person.phone)


async def test_without_javascript_an_email_is_still_read_in_every_form(
    calls: ApiCalls, stack: Addresses, visits: Visits
) -> None:
    person = await calls.enroll("tour-mails", "Katherine")
    await calls.waits_at(person, "clicked")
    inbox = await visits.open(stack.sandbox, javascript=False)
    await open_email(inbox, person, "Welcome")
    await expect(inbox.frame_locator("iframe").get_by_text("Good to have you, Katherine.")).to_be_visible()
    await inbox.locator("label").get_by_text("Text", exact=True).click()
    await expect(inbox.locator("pre")).to_contain_text("Good to have you, Katherine.")
    await inbox.locator("label").get_by_text("Headers", exact=True).click()
    await expect(inbox.get_by_role("row", name="List-Unsubscribe-Post")).to_contain_text("One-Click")
    await inbox.locator("label").get_by_text("Activity", exact=True).click()
    await expect(inbox.locator(".activity")).to_contain_text("Delivered")
