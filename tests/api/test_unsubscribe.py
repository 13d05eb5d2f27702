"""Every email carries a way out: a page for people, one click for mail programs."""

from __future__ import annotations

from settings import Settings
from store import contacts, suppressions
from store.database import Database
from tests.api.client import Api
from tests.api.messages import EMAIL, rows, sending
from tracks.links import unsubscribe_url


async def link(api: Api, db: Database, settings: Settings) -> str:
    sent = await sending(api, db, "email")
    return unsubscribe_url(settings.public_url, settings.secret.get_secret_value(), sent)


async def suppressed(db: Database) -> str | None:
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "email", EMAIL)
    return found.reason if found else None


async def test_opening_the_link_asks_and_changes_nothing(api: Api, db: Database, settings: Settings) -> None:
    answer = await api.client.get(await link(api, db, settings))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<button" in answer.text
    assert 'method="post"' in answer.text
    assert EMAIL not in answer.text
    assert await suppressed(db) is None


async def test_one_click_suppresses_the_address_and_tells_the_run(api: Api, db: Database, settings: Settings) -> None:
    url = await link(api, db, settings)
    for _ in range(2):
        answer = await api.client.post(url, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert "<button" not in answer.text
    assert await suppressed(db) == "unsubscribed"
    ((name, properties),) = await rows(db, "SELECT name, properties FROM event")
    assert name == "contact.unsubscribed"
    assert isinstance(properties, dict)
    assert (properties["channel"], properties["step"]) == ("email", "hello")
    assert len(await rows(db, "SELECT 1 FROM outbox WHERE kind = 'event'")) == 1


async def test_a_link_that_was_changed_does_nothing(api: Api, db: Database, settings: Settings) -> None:
    url = await link(api, db, settings)
    other = unsubscribe_url(
        settings.public_url, "another secret of thirty-two characters", "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"
    )
    for broken in (url[:-1], other, settings.public_url + "/u/nothing"):
        assert (await api.client.get(broken)).status_code == 404
        assert (await api.client.post(broken)).status_code == 404
    assert await suppressed(db) is None


async def test_a_link_of_an_erased_person_still_answers_kindly(api: Api, db: Database, settings: Settings) -> None:
    url = await link(api, db, settings)
    async with db.transaction() as tx:
        await contacts.erase(tx, "user-1")
    assert (await api.client.get(url)).status_code == 200
    assert (await api.client.post(url)).status_code == 200
    assert await rows(db, "SELECT 1 FROM event") == []


async def test_the_page_loads_nothing_from_anywhere(api: Api, db: Database, settings: Settings) -> None:
    answer = await api.client.get(await link(api, db, settings))
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
