"""The pages for contacts: unsubscribing needs exactly one press of a button, choosing topics a few."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect

from api.pages.texts.languages import LANGUAGES
from store.engine.database import Database
from store.people.consents import consents, suppressions
from store.published import policies
from tests.pages.accessibility import accessibility_problems, tab_through
from tests.pages.api_calls import ApiCalls, Person, step
from tests.pages.browsing import PHONE, SMALL_PHONE, Visits
from tracks.policy.workspace_policy import parse_policy

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
topics:
  tour-news:
    name: News
    description: What is new, once a month, with a word that is muchtoolongforthescreensofmostphonestoshowonone line.
    names: {de: Neues, ar: أخبار}
    opt_in: double
  tour-tips: {name: Tips, names: {de: Tipps, ar: نصائح}}
"""
CONFIRM = """---
kind: email
subject: Please confirm
---
<mjml><mj-body><mj-section><mj-column>
  <mj-text><a href="{{ confirm_url }}">Confirm</a> <a href="{{ preferences_url }}">Preferences</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
CONFIRMING = """track: tour-confirming
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: ask, email: {template: tour-confirm, transactional: true, topic: tour-news}}
  - {id: later, wait: 30d}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def policy(calls: ApiCalls, db: Database) -> None:
    """Two topics, and a track that asks for a confirmation."""
    async with db.transaction() as tx:
        await policies.publish(tx, parse_policy(POLICY), POLICY)
    for answer in (await calls.api.template("tour-confirm", CONFIRM), await calls.api.publish(CONFIRMING)):
        assert answer.status_code == 201, answer.text


async def way_out(calls: ApiCalls, person: Person) -> str:
    """The link at the bottom of the person's first email."""
    [message] = await calls.messages(person.email)
    link: str = message["links"][-1]["url"]
    assert link.startswith(f"{calls.stack.api}/u/")
    return link


async def suppressed(db: Database, person: Person) -> bool:
    async with db.transaction() as tx:
        return await suppressions.find(tx, "email", person.email) is not None


async def held(db: Database, person: Person) -> dict[str, str]:
    async with db.transaction() as tx:
        found = await consents.current(tx, person.id)
    return {f"{consent.channel}.{consent.topic}".rstrip("."): consent.status for consent in found}


async def test_leaving_works_on_a_phone_without_javascript(calls: ApiCalls, visits: Visits, db: Database) -> None:
    person = await calls.enroll("tour-mails", "Margaret")
    page = await visits.open(await way_out(calls, person), size=PHONE, javascript=False)
    await page.get_by_role("button", name="Unsubscribe").tap()
    await expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("You get no more emails from us.")
    assert await suppressed(db, person)

    await calls.waits_at(person, "clicked")
    await calls.api.event(person.id, "email.clicked")
    shown = await calls.waits_at(person, "later")
    more = step(shown, "more")
    assert more and (more["outcome"], more["detail"]) == ("skipped", "suppressed: unsubscribed")


async def test_opening_the_page_changes_nothing(calls: ApiCalls, visits: Visits, db: Database) -> None:
    person = await calls.enroll("tour-mails", "Radia")
    link = await way_out(calls, person)
    for _ in range(2):  # mail programs and scanners open links, run scripts, and repeat it
        page = await visits.open(link)
        await expect(page.get_by_role("heading", name="Your preferences")).to_be_visible()
    assert (await calls.client.head(link)).status_code == 200
    assert not await suppressed(db, person)
    assert await held(db, person) == {}


async def test_topics_are_chosen_on_a_phone_without_javascript(calls: ApiCalls, visits: Visits, db: Database) -> None:
    person = await calls.enroll("tour-mails", "Grace")
    page = await visits.open(await way_out(calls, person), size=PHONE, javascript=False)
    email = page.get_by_role("group", name="Email", exact=True)
    await expect(email.get_by_role("checkbox", name="Tips")).to_be_checked()
    await expect(email.get_by_role("checkbox", name="News")).not_to_be_checked()
    await email.get_by_label("News").tap()
    await email.get_by_label("Tips").tap()
    await page.get_by_label("Send me text messages").uncheck()
    await page.get_by_role("button", name="Save").tap()

    await expect(page.get_by_role("status")).to_contain_text("Your choices are saved")
    await expect(email.get_by_role("checkbox", name="News")).to_be_checked()
    await expect(email.get_by_role("checkbox", name="Tips")).not_to_be_checked()
    await expect(page.get_by_label("Send me text messages")).not_to_be_checked()
    assert await held(db, person) == {"email.tour-news": "granted", "email.tour-tips": "withdrawn", "sms": "withdrawn"}

    await page.get_by_role("button", name="Pause for 30 days").tap()
    await expect(page.get_by_role("status")).to_contain_text("Paused until ")
    await page.get_by_role("button", name="End the pause").tap()
    await expect(page.get_by_role("heading", name="The pause is over")).to_be_visible()
    await page.get_by_role("button", name="Stop everything").tap()
    await expect(page.get_by_role("heading", name="Everything is off")).to_be_visible()
    await expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)
    assert await suppressed(db, person)


async def test_the_keyboard_is_enough(calls: ApiCalls, visits: Visits, db: Database) -> None:
    person = await calls.enroll("tour-mails", "Hedy")
    page = await visits.open(await way_out(calls, person))
    reached = await tab_through(page)
    assert [name.partition("What is")[0] for name in reached] == [
        "Unsubscribe",
        "Send me emails",
        "News",
        "Tips",
        "Send me text messages",
        "News",
        "Tips",
        "Save",
        "Pause for 30 days",
        "Stop everything",
    ]
    await page.get_by_label("Send me emails").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")  # submits the form by its only button
    await expect(page.get_by_role("heading", name="Your choices are saved")).to_be_visible()
    assert await held(db, person) == {"email": "withdrawn"}
    assert await suppressed(db, person)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_nothing_hinders_people_on_it(calls: ApiCalls, visits: Visits, *, dark: bool) -> None:
    person = await calls.enroll("tour-mails", "Rosalind")
    page = await visits.open(await way_out(calls, person), size=SMALL_PHONE, dark=dark)
    assert await accessibility_problems(page) == []
    for name in ("Pause for 30 days", "Unsubscribe", "End the pause"):
        await page.get_by_role("button", name=name).tap()
        await expect(page.get_by_role("status")).to_be_visible()
        assert await accessibility_problems(page) == []
    nobody = await calls.client.get(f"{calls.stack.api}/u/nothing")
    await page.set_content(nobody.text)
    assert await accessibility_problems(page) == []


async def test_it_speaks_the_contacts_language_in_its_direction(calls: ApiCalls, visits: Visits) -> None:
    person = await calls.enroll("tour-mails", "Emmy")
    link = await way_out(calls, person)
    page = await visits.open(link, size=SMALL_PHONE)
    for language, texts in LANGUAGES.items():
        await page.set_extra_http_headers({"Accept-Language": f"{language}, en;q=0.5"})
        await page.goto(link)
        await expect(page.get_by_role("heading", name=texts.title, level=1)).to_be_visible()
        assert await page.locator("html").get_attribute("lang") == language
        assert await accessibility_problems(page, colours=False) == [], language
        box = await page.get_by_role("checkbox", name=texts.receive["email"]).bounding_box()
        assert box is not None
        assert (box["x"] > 160) == texts.right_to_left, language
    await expect(page.get_by_role("checkbox", name="أخبار").first).to_be_visible()

    await calls.api.contact(person.id, locale="de-CH")
    await page.goto(link)
    await expect(page.get_by_role("group", name="E-Mail", exact=True).get_by_label("Tipps")).to_be_checked()


async def test_a_sign_up_is_confirmed_by_a_press(calls: ApiCalls, visits: Visits, db: Database) -> None:
    person = await calls.enroll("tour-confirming", "Katherine")
    grant = {"channel": "email", "topic": "tour-news", "status": "granted", "source": "form"}
    await calls.api.call("PUT", f"/v1/contacts/{person.id}/consents", json={"consents": [grant]})
    [message] = await calls.messages(person.email)
    link = message["links"][0]["url"]
    page = await visits.open(link, size=SMALL_PHONE, javascript=False)
    assert await held(db, person) == {"email.tour-news": "pending"}
    await page.get_by_role("button", name="Yes, I want it").tap()
    await expect(page.get_by_role("main")).to_contain_text("You have confirmed “\u2068News\u2069”.")
    assert await held(db, person) == {"email.tour-news": "granted"}
    await page.goto(message["links"][1]["url"])
    await expect(page.get_by_role("group", name="Email", exact=True).get_by_label("News")).to_be_checked()

    page = await visits.open(link, size=SMALL_PHONE, dark=True)
    assert await accessibility_problems(page) == []
