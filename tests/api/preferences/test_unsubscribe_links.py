"""Every message carries a way out: one click for mail programs, nothing for scanners, and nothing by a changed link."""

from __future__ import annotations

from datetime import UTC, datetime

from settings import Settings
from store.engine.database import Database
from store.people.consents import suppressions
from tests.api.client import Api
from tests.api.messages import EMAIL, PHONE, rows
from tests.api.preferences.preference_calls import (
    GRANT,
    NEW,
    confirmation,
    held,
    link,
    message,
    move,
    save,
    state,
    suppressed,
)
from tracks.shared.link_tokens import confirm_url, unsubscribe_url


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
