"""Every message has an unsubscribe link: a page for people, one click for mail programs, no effect for scanners."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from api.app import create_app
from settings import Settings
from store.engine.database import Database
from store.people import contacts, suppressions
from store.published import policies
from store.schema.addresses import address_hash
from store.schema.rows import Channel
from tests.api.client import Api
from tests.api.messages import EMAIL, PHONE, rows, sending
from tracks.policy.workspace_policy import parse_policy
from tracks.shared.link_tokens import confirm_url, unsubscribe_url

POLICY = """
topics:
  tips: {name: Tips & tricks, names: {de: Tipps}, description: Once a week}
  news: {name: News, opt_in: double}
channels:
  sms: {opt_in: explicit}
"""


async def publish_policy(db: Database, source: str = POLICY) -> None:
    async with db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)


async def message(api: Api, db: Database, *, channel: Channel = "email", topic: str = "", policy: str = POLICY) -> str:
    """Send a message to user-1. Returns its id."""
    await publish_policy(db, policy)
    sent = await sending(api, db, "email")
    async with db.transaction() as tx:
        to = address_hash(channel, EMAIL if channel == "email" else PHONE)
        written = {"topic": topic, "c": channel, "to": to}
        await tx.execute(text("UPDATE message SET topic = :topic, channel = :c, address_hash = :to"), written)
    return sent


def link(settings: Settings, sent: str) -> str:
    return unsubscribe_url(settings.public_url, settings.secret.get_secret_value(), sent)


def confirmation(settings: Settings, sent: str) -> str:
    return confirm_url(settings.public_url, settings.secret.get_secret_value(), sent)


async def suppressed(db: Database, channel: Channel = "email", address: str = EMAIL) -> str | None:
    async with db.transaction() as tx:
        found = await suppressions.find(tx, channel, address)
    return found.reason if found else None


async def held(db: Database) -> dict[tuple[object, object], object]:
    return {(c, t): s for c, t, s in await rows(db, "SELECT channel, topic, status FROM consent")}


async def state(db: Database) -> str:
    """All state that a scanner must not change."""
    tables = ("consent", "consent_change", "suppression", "event", "outbox", "contact")
    return str([await rows(db, f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables])


def ticked(page: str) -> set[str]:
    return set(re.findall(r'type="checkbox" name="on" value="([^"]+)" checked', page))


def boxes(page: str) -> list[str]:
    return re.findall(r'name="seen" value="([^"]+)"', page)


async def save(api: Api, url: str, *on: str) -> str:
    """Save the page as it is shown now, with these boxes ticked."""
    shown = (await api.client.get(url)).text
    assert set(on) <= set(boxes(shown))
    answer = await api.client.post(url, data={"seen": boxes(shown), "on": list(on), "do": "save"})
    assert answer.status_code == 200
    return answer.text


async def test_scanners_that_open_every_link_change_nothing(api: Api, db: Database, settings: Settings) -> None:
    sent = await message(api, db, topic="news")
    await api.call("PUT", "/v1/contacts/user-1/consents", json={"consents": [GRANT | {"topic": "news"}]})
    before = await state(db)
    for url in (link(settings, sent), confirmation(settings, sent)):
        for method in ("GET", "HEAD", "GET"):
            answer = await api.client.request(method, url)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert EMAIL not in answer.text and PHONE not in answer.text
        assert '<form method="post"' in answer.text
    assert await state(db) == before


async def test_one_click_leaves_the_channel_of_a_message_without_a_topic(
    api: Api, db: Database, settings: Settings
) -> None:
    url = link(settings, await message(api, db))
    for _ in range(2):
        answer = await api.client.post(url, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert "You get no more emails from us." in answer.text
    assert await suppressed(db) == "unsubscribed"
    assert await suppressed(db, "sms", PHONE) is None
    assert await held(db) == {("email", ""): "withdrawn"}
    ((name, properties),) = await rows(db, "SELECT name, properties FROM event")
    assert name == "contact.unsubscribed"
    assert isinstance(properties, dict)
    assert (properties["channel"], properties["step"]) == ("email", "hello")
    assert "topic" not in properties
    assert len(await rows(db, "SELECT 1 FROM outbox WHERE kind = 'event'")) == 1


async def test_one_click_leaves_only_the_topic_of_a_message_that_has_one(
    api: Api, db: Database, settings: Settings
) -> None:
    url = link(settings, await message(api, db, topic="tips"))
    # mail programs may post the field as multipart too (RFC 8058, section 3.1)
    answer = await api.client.post(url, files={"List-Unsubscribe": (None, "One-Click")})
    assert "You get no more emails about “\u2068Tips &amp; tricks\u2069”." in answer.text
    assert await held(db) == {("email", "tips"): "withdrawn"}
    assert await suppressed(db) is None
    ((properties,),) = await rows(db, "SELECT properties FROM event")
    assert isinstance(properties, dict) and properties["topic"] == "tips"


async def test_one_click_in_a_text_message_leaves_texts(api: Api, db: Database, settings: Settings) -> None:
    await api.client.post(link(settings, await message(api, db, channel="sms")), data={"List-Unsubscribe": "One-Click"})
    assert (await suppressed(db), await suppressed(db, "sms", PHONE)) == (None, "unsubscribed")


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


async def test_a_confirmation_takes_a_press(api: Api, db: Database, settings: Settings) -> None:
    sent = await message(api, db, topic="news")
    url = confirmation(settings, sent)
    assert "There is nothing to confirm" in (await api.client.post(url)).text
    await api.call("PUT", "/v1/contacts/user-1/consents", json={"consents": [GRANT | {"topic": "news"}]})
    assert "Do you want to get “\u2068News\u2069”?" in (await api.client.get(url)).text
    for _ in range(2):
        assert "You have confirmed “\u2068News\u2069”." in (await api.client.post(url, data={"do": "confirm"})).text
    assert await held(db) == {("email", "news"): "granted"}
    told = await rows(db, "SELECT properties ->> 'status' FROM event ORDER BY received_at")
    assert told == [("pending",), ("granted",)]
    await api.client.post(link(settings, sent), data={"List-Unsubscribe": "One-Click"})
    assert "There is nothing to confirm" in (await api.client.post(url)).text
    assert await held(db) == {("email", "news"): "withdrawn"}


async def test_a_link_that_was_changed_does_nothing(api: Api, db: Database, settings: Settings) -> None:
    sent = await message(api, db)
    nobody = "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"
    before = await state(db)
    for make in (unsubscribe_url, confirm_url):
        ours = make(settings.public_url, settings.secret.get_secret_value(), sent)
        broken = [
            ours[:-1],
            make(settings.public_url, "another secret of thirty-two characters", sent),
            make(settings.public_url, settings.secret.get_secret_value(), nobody),
            settings.public_url + ("/u/nothing" if "/u/" in ours else "/confirm/nothing"),
        ]
        for url in broken:
            assert (await api.client.get(url)).status_code == 404
            answer = await api.client.post(url, data={"List-Unsubscribe": "One-Click"})
            assert (answer.status_code, "This link does not work" in answer.text) == (404, True)
    assert await state(db) == before


async def test_nobody_is_known_by_the_link_of_an_erased_person(api: Api, db: Database, settings: Settings) -> None:
    sent = await message(api, db)
    await api.call("DELETE", "/v1/contacts/user-1")
    for url in (link(settings, sent), confirmation(settings, sent)):
        assert (await api.client.get(url)).status_code == 404
        assert (await api.client.post(url)).status_code == 404
    assert await rows(db, "SELECT 1 FROM event UNION ALL SELECT 1 FROM consent") == []
    assert (await suppressed(db), await suppressed(db, "sms", PHONE)) == ("erased", "erased")


NEW = "ada@elsewhere.example"


async def move(api: Api, address: str = NEW) -> None:
    """The contact has another mailbox now."""
    assert (await api.call("PUT", "/v1/contacts/user-1", json={"email": address})).status_code == 200


async def test_a_link_leaves_for_the_address_that_its_message_went_to(
    api: Api, db: Database, settings: Settings
) -> None:
    url = link(settings, await message(api, db))
    await move(api)
    await api.client.post(url, data={"List-Unsubscribe": "One-Click"})
    assert (await suppressed(db), await suppressed(db, address=NEW)) == ("unsubscribed", None)
    assert await held(db) == {("email", ""): "withdrawn"}  # the contact's choice is valid for every address

    async with db.transaction() as tx:
        await suppressions.add(tx, "email", NEW, "unsubscribed", datetime(2026, 1, 1, tzinfo=UTC))
    await save(api, url, "email")
    assert (await suppressed(db), await suppressed(db, address=NEW)) == (None, "unsubscribed")
    assert await held(db) == {("email", ""): "granted"}


async def test_a_link_to_an_old_mailbox_keeps_nobody_else_from_being_written_to(
    api: Api, db: Database, settings: Settings
) -> None:
    url = link(settings, await message(api, db))
    await move(api)
    await api.client.post(url, data={"do": "all-off"})
    assert (await suppressed(db), await suppressed(db, address=NEW)) == ("unsubscribed", None)
    assert await suppressed(db, "sms", PHONE) is None
    assert await held(db) == {("email", ""): "withdrawn", ("sms", ""): "withdrawn"}


async def test_a_link_to_an_old_mailbox_proves_nothing_of_the_new_one(
    api: Api, db: Database, settings: Settings
) -> None:
    sent = await message(api, db, topic="news")
    await api.call("PUT", "/v1/contacts/user-1/consents", json={"consents": [GRANT | {"topic": "news"}]})
    await move(api)
    for answer in [
        await api.client.get(confirmation(settings, sent)),
        await api.client.post(confirmation(settings, sent)),
    ]:
        assert "nothing to confirm" in answer.text and "<form" not in answer.text
    await save(api, link(settings, sent), "email", "email.tips", "email.news")
    assert await held(db) == {("email", "news"): "pending"}
    await move(api, EMAIL.upper())  # the same mailbox, spelt otherwise
    await api.client.post(confirmation(settings, sent))
    assert await held(db) == {("email", "news"): "granted"}


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


GRANT = {"channel": "email", "status": "granted", "source": "form"}


@pytest.mark.parametrize("said", ["garbage", "", "confirm", "save "])
async def test_a_button_that_the_page_does_not_have_changes_nothing(
    api: Api, db: Database, settings: Settings, said: str
) -> None:
    answer = await api.client.post(link(settings, await message(api, db)), data={"do": said})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/do")
    assert await held(db) == {}
    assert await suppressed(db) is None
