"""The page of preferences shows what holds, saves what is chosen, and says whom it is from."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import ValidationError

from api.app import create_app
from settings import Settings
from store.engine.database import Database
from store.people import contacts
from store.people.consents import suppressions
from tests.api.client import Api
from tests.api.messages import PHONE, rows
from tests.api.preferences.preference_calls import GRANT, boxes, confirmation, held, link, message, save, suppressed


def ticked(page: str) -> set[str]:
    return set(re.findall(r'type="checkbox" name="on" value="([^"]+)" checked', page))


async def test_the_page_shows_what_holds_and_saves_what_is_chosen(api: Api, db: Database, settings: Settings) -> None:
    url = link(settings, await message(api, db, topic="tips"))
    page = (await api.client.get(url)).text
    assert boxes(page) == ["email", "email.news", "email.tips", "sms", "sms.news", "sms.tips"]
    assert ticked(page) == {"email", "email.tips"}
    assert 'Tips &amp; tricks</span><small dir="auto">Once a week</small>' in page

    page = await save(api, url, "email", "email.news", "sms", "sms.news", "sms.tips")
    assert ticked(page) == {"email", "email.news", "sms", "sms.tips"}
    assert await held(db) == {
        ("email", "tips"): "withdrawn",
        ("email", "news"): "granted",  # the link came by email, so the mailbox is the contact's
        ("sms", ""): "granted",
        ("sms", "news"): "pending",
    }
    assert page.count("waiting for your confirmation") == 1
    before = await rows(db, "SELECT count(*) FROM consent_change")
    assert ticked(await save(api, url, *ticked(page))) == ticked(page)
    assert await rows(db, "SELECT count(*) FROM consent_change") == before
    ((version,),) = await rows(db, "SELECT DISTINCT text_version FROM consent")
    assert version == "policy 1, en"


async def test_everything_off_and_back_again(api: Api, db: Database, settings: Settings) -> None:
    url = link(settings, await message(api, db))
    page = (await api.client.post(url, data={"do": "all-off"})).text
    assert "Everything is off" in page
    assert (ticked(page), "Stop everything" in page) == (set(), False)
    assert (await suppressed(db), await suppressed(db, "sms", PHONE)) == ("unsubscribed", "unsubscribed")
    page = await save(api, url, "email.news")
    assert ticked(page) == {"email", "email.news"}
    assert await suppressed(db) is None
    page = await save(api, url)
    assert (ticked(page), await suppressed(db)) == (set(), "unsubscribed")
    page = await save(api, url, "email")
    assert ticked(page) == {"email", "email.news"}


async def test_a_page_from_before_a_topic_says_nothing_about_it(api: Api, db: Database, settings: Settings) -> None:
    url = link(settings, await message(api, db))
    await api.client.post(url, data={"seen": ["email"], "on": ["email", "sms", "email.tips"], "do": "save"})
    assert await held(db) == {}


async def test_a_pause_begins_ends_and_shows_its_day(api: Api, db: Database, settings: Settings) -> None:
    url = link(settings, await message(api, db))
    await api.contact("user-1", timezone="Asia/Tokyo", locale="de-AT")
    page = (await api.client.post(url, data={"do": "pause"})).text
    async with db.transaction() as tx:
        person = await contacts.get(tx, "user-1")
    assert person is not None and person.paused_until is not None
    assert abs(person.paused_until - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    assert re.search(r"Pausiert bis \d+\. \w+ \d{4}\.", page)
    page = (await api.client.post(url, data={"do": "resume"})).text
    assert "Die Pause ist beendet" in page and "30 Tage pausieren" in page
    assert (await api.get("/v1/contacts/user-1")).json()["paused_until"] is None


@pytest.mark.parametrize("reason", ["stop", "complained"])
async def test_what_the_contact_cannot_end_here_is_said_and_stays(
    api: Api, db: Database, settings: Settings, reason: str
) -> None:
    url = link(settings, await message(api, db))
    async with db.transaction() as tx:
        await suppressions.add(tx, "sms", PHONE, reason)
    page = (await api.client.get(url)).text
    assert boxes(page) == ["email", "email.news", "email.tips"]
    assert ("send START" in page) == (reason == "stop")
    await api.client.post(url, data={"seen": ["sms"], "on": ["sms"], "do": "save"})
    assert await suppressed(db, "sms", PHONE) == reason


async def test_the_page_loads_nothing_and_stands_in_no_frame(api: Api, db: Database, settings: Settings) -> None:
    answer = await api.client.get(link(settings, await message(api, db)))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


SENDER = {
    "sender_name": "Acme & Sons",
    "sender_website": "https://acme.test/?a=1&b=2",
    "sender_logo": "https://images.acme.test/logo.png",
    "sender_address": "1 Example Street\nLondon",
    "sender_color": "#FFCC00",
}


async def test_every_page_says_whom_it_is_from_and_leads_on(api: Api, db: Database, settings: Settings) -> None:
    sent = await message(api, db)
    ours = settings.model_copy(update=SENDER)
    transport = httpx.ASGITransport(create_app(ours, db))
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_url) as client:
        pages = [
            await client.get(path)
            for path in (link(settings, sent), confirmation(settings, sent), "/u/nothing", "/confirm/nothing", "/c/no")
        ]
    assert [page.status_code for page in pages] == [200, 200, 404, 404, 404]
    for page in pages:
        assert "Acme &amp; Sons" in page.text and "London" in page.text
        assert '<a href="https://acme.test/?a=1&amp;b=2" rel="noreferrer">Go to Acme &amp; Sons</a>' in page.text
    for page in pages[:4]:
        assert "--brand: #FFCC00; --on-brand: #000000;" in page.text
        assert page.text.count("<img") == 1
        assert re.findall(r"img-src ([^;]+)", page.headers["content-security-policy"]) == ["https://images.acme.test"]
    assert f'<a href="{link(settings, sent)}">All your settings</a>' in pages[1].text


@pytest.mark.parametrize(
    "broken", ["javascript:alert(1)", "https://a.test/x y", "https://a.test; script-src *", "a.test"]
)
def test_what_stands_in_a_header_or_a_link_is_an_address_of_the_web(broken: str) -> None:
    for name in ("sender_website", "sender_logo"):
        with pytest.raises(ValidationError, match=name):
            Settings.model_validate({name: broken})


@pytest.mark.parametrize("broken", ["red", "#fff", "#ffcc0", "#ffcc00; } body { display: none", "ffcc00"])
def test_the_colour_of_the_brand_is_six_digits(broken: str) -> None:
    with pytest.raises(ValidationError, match="sender_color"):
        Settings.model_validate({"sender_color": broken})


async def test_the_page_says_why_it_was_written(api: Api, db: Database, settings: Settings) -> None:
    url = link(settings, await message(api, db, topic="tips"))
    page = (await api.client.get(url, headers={"Accept-Language": "de"})).text
    assert "Warum Sie das erhalten" in page
    assert "Hierher führte eine E-Mail zu „\u2068Tipps\u2069“." in page and "nicht widersprochen" in page
    await api.call("PUT", "/v1/contacts/user-1/consents", json={"consents": [GRANT | {"topic": "tips"}]})
    page = (await api.client.get(url)).text
    assert re.search(r"You agreed to it on \w+ \d+, \d{4}\.", page)


@pytest.mark.parametrize("said", ["garbage", "", "confirm", "save "])
async def test_a_button_that_the_page_does_not_have_changes_nothing(
    api: Api, db: Database, settings: Settings, said: str
) -> None:
    answer = await api.client.post(link(settings, await message(api, db)), data={"do": said})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/do")
    assert await held(db) == {}
    assert await suppressed(db) is None
