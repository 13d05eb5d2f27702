"""Whom an SES event suppresses: only the recipient of the message, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI

from store.engine.database import Database
from store.engine.ids import new_id
from store.people import erasure
from store.people.consents import suppressions
from tests.api.client import Api
from tests.api.messages import EMAIL, another_day, message, rows, sending
from tests.api.ses_effects import forget, refused, suppressed, told
from tests.api.ses_payloads import bounce, complaint, subscription
from tests.api.sns import Signer, tell

pytestmark = pytest.mark.usefixtures("amazon")


async def test_leaving_everything_by_amazons_own_list_is_leaving(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    await tell(api.client, signer.notification(subscription(sent, everything=False)))
    assert (await suppressed(db), await told(db)) == (None, [])
    await tell(api.client, signer.notification(subscription(sent, everything=True)))
    assert await suppressed(db) == "unsubscribed"
    assert await told(db) == [("contact.unsubscribed", {"channel": "email", "reason": "unsubscribed"})]


async def test_the_address_that_bounced_is_suppressed_and_not_the_contacts_new_one(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    await api.contact("user-1", email="ada.new@example.com")
    await tell(api.client, signer.notification(bounce(sent)))
    assert (await suppressed(db), await suppressed(db, "ada.new@example.com")) == ("bounced", None)


async def test_of_several_recipients_ours_is_suppressed_unless_it_is_still_being_tried(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    who = [
        {"emailAddress": f"Ada <{EMAIL.upper()}>", "status": "5.0.0", "action": "failed"},
        {"emailAddress": "second@example.com"},
        {"emailAddress": "third@example.com", "status": "4.0.0", "action": "delayed"},
    ]
    await tell(api.client, signer.notification(bounce(sent, who=who)))
    found = [await suppressed(db, address) for address in (EMAIL, "second@example.com", "third@example.com")]
    assert found == ["bounced", None, None]


@pytest.mark.parametrize("who", [None, [], ["another@example.org"], [f"v{n}@example.org" for n in range(100)]])
@pytest.mark.parametrize("kind", ["bounce", "complaint"])
async def test_only_whom_a_message_went_to_is_suppressed_whoever_is_named(
    api: Api, db: Database, signer: Signer, app: FastAPI, kind: str, who: list[str] | None
) -> None:
    """A message has one recipient. Mail may be forwarded, and reports may omit names or name others."""
    sent = await sending(api, db, "email")
    said = bounce(sent) if kind == "bounce" else complaint(sent)
    name = "bouncedRecipients" if kind == "bounce" else "complainedRecipients"
    said[kind][name] = None if who is None else [{"emailAddress": one} for one in who]
    before = refused(app, "not-the-recipient")
    assert await tell(api.client, signer.notification(said)) == 204
    assert await suppressed(db) == ("bounced" if kind == "bounce" else "complained")
    assert len(await rows(db, "SELECT 1 FROM suppression")) == 1
    assert refused(app, "not-the-recipient") - before == len(who or [])


async def test_a_domain_is_the_same_in_its_ascii_form(api: Api, db: Database, signer: Signer, app: FastAPI) -> None:
    sent = await sending(api, db, "email", to="ann@müller.example")
    before = refused(app, "not-the-recipient")
    await tell(api.client, signer.notification(bounce(sent, to="ann@xn--mller-kva.example")))
    assert await suppressed(db, "ann@müller.example") == "bounced"
    assert refused(app, "not-the-recipient") == before


async def test_a_bounce_of_others_while_ours_is_still_being_tried_suppresses_nobody(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    who = [{"emailAddress": EMAIL, "action": "delayed"}, {"emailAddress": "x@example.org", "action": "failed"}]
    await tell(api.client, signer.notification(bounce(sent, who=who)))
    assert await rows(db, "SELECT 1 FROM suppression") == []


async def test_what_was_told_before_suppresses_nothing_again(api: Api, db: Database, signer: Signer) -> None:
    """An operator has lifted the suppression since: a replayed or repeated notification must not suppress again."""
    for kind in (bounce, complaint):
        sent = await sending(api, db, "email", contact_id=new_id())
        first = signer.notification(kind(sent))
        await tell(api.client, first)
        assert await suppressed(db) is not None
        async with db.transaction() as tx:
            await suppressions.remove(tx, "email", EMAIL)
        for again in (first, signer.notification(kind(sent))):
            assert await tell(api.client, again) == 204
            assert await suppressed(db) is None
        await another_day(db)
    sent = await sending(api, db, "email", contact_id=new_id())
    await tell(api.client, signer.notification(bounce(sent)))
    assert await suppressed(db) == "bounced"  # for another message it does


async def test_a_notification_older_than_sns_repeats_them_changes_nothing(
    api: Api, db: Database, signer: Signer, app: FastAPI
) -> None:
    sent = await sending(api, db, "email")
    before = refused(app, "too-old")
    for days, status in ((3, "sending"), (1, "sent")):
        at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.123Z")
        assert await tell(api.client, signer.notification(bounce(sent), Timestamp=at)) == 204
        assert (await message(db, sent)).status == status
    assert refused(app, "too-old") - before == 1


async def test_a_complaint_after_the_contact_was_erased_makes_their_suppression_harsher(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    async with db.transaction() as tx:
        await erasure.erase(tx, "user-1")
    said = complaint(sent)
    said["complaint"]["complainedRecipients"].append({"emailAddress": "another@example.org"})
    await tell(api.client, signer.notification(said))
    assert (await suppressed(db), await suppressed(db, "another@example.org")) == ("complained", None)


async def test_a_header_that_was_cut_amid_an_emoji_costs_no_bounce(
    api: Api, db: Database, signer: Signer, app: FastAPI
) -> None:
    for broken in ("Hello \ud83d", "Hello \0"):
        sent = await sending(api, db, "email", contact_id=new_id())
        said = bounce(sent, who=[{"emailAddress": broken}, {"emailAddress": EMAIL}])
        said["mail"]["commonHeaders"]["subject"] = broken
        said["mail"]["messageId"] += broken
        before = refused(app, "unstorable")
        assert await tell(api.client, signer.notification(said)) == 204
        assert refused(app, "unstorable") - before == 1
        assert (await suppressed(db), (await message(db, sent)).delivery) == ("bounced", "bounced")
        await forget(db)
