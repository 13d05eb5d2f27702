"""Which bounces are permanent: by SES's type, by the mail server's answer, and by an earlier delivery."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from store.engine.database import Database
from store.engine.ids import new_id
from store.sending.feedback import bounces
from tests.api.client import Api
from tests.api.messages import EMAIL, another_day, message, rows, sending
from tests.api.ses_effects import refused, suppressed, told
from tests.api.ses_payloads import BOUNCES, bounce, delivery
from tests.api.sns import Signer, tell

pytestmark = pytest.mark.usefixtures("amazon")


@pytest.mark.parametrize(("kind", "sub_type"), [pair for pair in BOUNCES if pair[0] != "Permanent"])
async def test_an_automatic_answer_to_a_message_that_arrived_is_no_bounce(
    api: Api, db: Database, signer: Signer, app: FastAPI, kind: str, sub_type: str
) -> None:
    """SES reports it as a transient bounce. The message stays delivered, whichever report comes first."""
    sent = await sending(api, db, "email")
    before = refused(app, "bounced-after-delivery")
    for said in (delivery(sent), bounce(sent, kind, sub_type)):
        await tell(api.client, signer.notification(said))
    assert (await message(db, sent)).delivery == "delivered"
    assert [name for name, _ in await told(db)] == ["email.delivered"]
    assert refused(app, "bounced-after-delivery") - before == 1
    assert await rows(db, "SELECT 1 FROM message WHERE bad") == []  # `send: best` and breakers read this
    await another_day(db)
    early = await sending(api, db, "email", contact_id=new_id())
    for said in (bounce(early, kind, sub_type), delivery(early)):
        await tell(api.client, signer.notification(said))
    assert (await message(db, early)).delivery == "delivered"
    await tell(api.client, signer.notification(bounce(early)))  # a real late bounce is permanent
    assert ((await message(db, early)).delivery, await suppressed(db)) == ("bounced", "bounced")


async def test_many_automatic_answers_suppress_nobody(api: Api, db: Database, signer: Signer) -> None:
    for number in range(bounces.MANY + 1):
        sent = await sending(api, db, "email", contact_id="user-1", occurrence=number)
        await rows(
            db,
            f"UPDATE message SET claimed_at = claimed_at - interval '{(bounces.MANY - number) * 5} days' "
            f"WHERE id = '{sent}' RETURNING 1",
        )
        for said in (delivery(sent), bounce(sent, "Transient", "General")):
            await tell(api.client, signer.notification(said))
    assert await rows(db, "SELECT DISTINCT delivery FROM message") == [("delivered",)]
    assert await suppressed(db) is None


@pytest.mark.parametrize(
    ("status", "diagnostic", "permanent"),
    [
        ("5.1.1", "smtp; 550 5.1.1 user unknown", "5.1.1"),
        ("5.1.1", None, "5.1.1"),
        ("5.2.1", "smtp; 554 5.2.1 disabled", "5.2.1"),
        ("5.4.4", "smtp; 550 5.4.4 Invalid domain", "5.4.4"),
        ("5.3.0", "smtp; 550 denied", "5.3.0"),
        ("5.5.0", "smtp; 550 5.5.0 Requested action not taken: mailbox unavailable", "5.5.0"),
        ("5.5.0", "smtp; 503 5.5.0 bad sequence", None),
        ("5.0.0", "smtp; 550-5.1.1 no such user", "5.1.1"),
        (None, "smtp; 550 no such user", "550"),
        ("5.0.0", "smtp; 550 5.7.1 blocked", None),
        ("5.3.0", "smtp; 554 too many hops", None),
        ("5.7.1", "smtp; 550 5.7.1 blocked by a list", None),
        ("5.2.2", "smtp; 552 5.2.2 mailbox full", None),
        ("4.4.7", "smtp; 550 4.4.7 expired", None),
        ("4.2.2", "smtp; 452 4.2.2 mailbox full", None),
        (None, None, None),
        ("five", "nothing that a server says", None),
    ],
)
async def test_a_server_that_refuses_an_address_for_good_is_believed_where_ses_is_vague(
    api: Api, db: Database, signer: Signer, status: str | None, diagnostic: str | None, permanent: str | None
) -> None:
    sent = await sending(api, db, "email")
    who = [{"emailAddress": EMAIL, "action": "failed", "status": status, "diagnosticCode": diagnostic}]
    await tell(api.client, signer.notification(bounce(sent, "Transient", "General", who=who)))
    reason = f"bounce-permanent-{permanent}" if permanent else "bounce-transient-general"
    assert (await message(db, sent)).delivery_reason == reason
    assert await suppressed(db) == ("bounced" if permanent else None)
    ((_, properties),) = await told(db)
    assert properties == {
        "bounce": "permanent" if permanent else "transient",
        "detail": permanent or "general",
    }


async def test_where_ses_is_exact_the_server_is_not_asked(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    who = [{"emailAddress": EMAIL, "status": "5.0.0", "diagnosticCode": "smtp; 550 over quota"}]
    await tell(api.client, signer.notification(bounce(sent, "Transient", "MailboxFull", who=who)))
    assert (await message(db, sent)).delivery_reason == "bounce-transient-mailboxfull"


async def test_a_permanent_bounce_after_a_transient_one_is_news_to_tracks(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    for kind in ("Transient", "Permanent", "Transient"):
        await tell(api.client, signer.notification(bounce(sent, kind)))
    assert [properties for _, properties in await told(db)] == [
        {"bounce": "transient", "detail": "general"},
        {"bounce": "permanent", "detail": "general"},
    ]
    assert (await message(db, sent)).delivery_reason == "bounce-permanent-general"


async def test_many_soft_bounces_in_a_row_suppress(api: Api, db: Database, signer: Signer) -> None:
    days = bounces.SPAN.days / (bounces.MANY - 1) + 1
    for number in range(bounces.MANY):
        sent = await sending(api, db, "email", contact_id="user-1", occurrence=number)
        await rows(
            db,
            f"UPDATE message SET claimed_at = claimed_at - interval '{(bounces.MANY - number) * days} days' "
            f"WHERE id = '{sent}' RETURNING 1",
        )
        assert await suppressed(db) is None
        await tell(api.client, signer.notification(bounce(sent, "Transient", "MailboxFull")))
    assert await suppressed(db) == "bounced"
