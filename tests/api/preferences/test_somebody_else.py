"""The links and reports of a message to somebody else concern their address, never the contact."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from settings import Settings
from store.engine.database import Database
from store.schema.addresses import address_hash
from tests.api.client import Api
from tests.api.messages import EMAIL, rows, sending
from tests.api.messages import message as in_ledger
from tests.api.preferences.preference_calls import GRANT, confirmation, held, link, suppressed
from tests.api.ses_payloads import bounce, click, delivery
from tests.api.sns import Signer, tell

OWNER = "owner@acme.example"


@pytest.fixture
async def sent(api: Api, db: Database) -> str:
    """A message about user-1 to the owner of the account."""
    message_id = await sending(api, db, "email")
    async with db.transaction() as tx:
        values = {"hash": address_hash("email", OWNER)}
        await tx.execute(text("UPDATE message SET recipient = 'attribute owner_email', address_hash = :hash"), values)
    return message_id


async def contact_state(db: Database) -> str:
    return str([await rows(db, f"SELECT t::text FROM {t} t ORDER BY 1") for t in ("consent", "event", "contact")])


@pytest.mark.parametrize("posted", [{"List-Unsubscribe": "One-Click"}, {"do": "pause"}, {"do": "all-off"}, {}])
async def test_unsubscribing_ends_what_goes_to_their_address_and_changes_nothing_of_the_contact(
    api: Api, db: Database, settings: Settings, sent: str, posted: dict[str, str]
) -> None:
    await api.call("PUT", "/v1/contacts/user-1/consents", json={"consents": [GRANT]})
    before = await contact_state(db)
    for _ in range(2):
        answer = await api.client.post(link(settings, sent), data=posted)
        assert answer.status_code == 200
        assert "You get no more emails from us." in answer.text
    assert await suppressed(db, address=OWNER) == "unsubscribed"
    assert await suppressed(db, address=EMAIL) is None
    assert await contact_state(db) == before
    assert await held(db) == {("email", ""): "granted"}


async def test_the_page_shows_nothing_of_the_contact_and_opening_it_changes_nothing(
    api: Api, db: Database, settings: Settings, sent: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = await api.client.request(method, link(settings, sent))
        assert answer.status_code == 200
    page = (await api.client.get(link(settings, sent))).text
    assert "Unsubscribe" in page and "Topics" not in page and EMAIL not in page and "user-1" not in page
    assert await suppressed(db, address=OWNER) is None
    assert (await api.client.post(confirmation(settings, sent))).status_code == 404


@pytest.mark.usefixtures("amazon")
async def test_what_becomes_of_it_is_in_the_ledger_and_no_event_of_the_contact(
    api: Api, db: Database, signer: Signer, sent: str
) -> None:
    for payload in (delivery(sent), click(sent, "https://acme.test/x", {})):
        assert await tell(api.client, signer.notification(payload)) == 204
    assert (await in_ledger(db, sent)).delivery == "delivered"
    assert await rows(db, "SELECT 1 FROM event") == []


@pytest.mark.usefixtures("amazon")
async def test_a_bounce_suppresses_their_address_once(api: Api, db: Database, signer: Signer, sent: str) -> None:
    reported = signer.notification(bounce(sent, to=OWNER))
    await tell(api.client, reported)
    assert await suppressed(db, address=OWNER) == "bounced"
    assert await suppressed(db, address=EMAIL) is None
    assert await rows(db, "SELECT 1 FROM event") == []
    async with db.transaction() as tx:
        await tx.execute(text("DELETE FROM suppression"))
    await tell(api.client, reported)
    assert await suppressed(db, address=OWNER) is None


async def test_lists_show_where_the_address_was_found(api: Api, sent: str) -> None:
    (listed,) = (await api.get("/v1/messages?track=welcome")).json()["messages"]
    assert (listed["id"], listed["recipient"]) == (sent, "attribute owner_email")
