"""A confirmation takes a press, and the mailbox that was asked."""

from __future__ import annotations

from settings import Settings
from store.engine.database import Database
from tests.api.client import Api
from tests.api.messages import EMAIL, rows
from tests.api.preferences.preference_calls import GRANT, confirmation, held, link, message, move, save


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
