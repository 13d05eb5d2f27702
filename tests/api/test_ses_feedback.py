"""What each thing that SES says does to the ledger, to the address and to the tracks; in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from api.webhooks import ses_events
from store import bounces, contacts, settling, suppressions
from store.database import Database
from store.ids import new_id
from tests.api.client import Api
from tests.api.messages import EMAIL, another_day, message, rows, sending
from tests.api.ses_payloads import (
    BOUNCES,
    COMPLAINTS,
    DELAYS,
    SES_ID,
    bounce,
    complaint,
    delay,
    delivery,
    everything,
    reject,
    rendering_failure,
    send,
    subscription,
)
from tests.api.sns import Signer, tell

pytestmark = pytest.mark.usefixtures("amazon")


async def suppressed(db: Database, address: str = EMAIL) -> str | None:
    """Why the address is not written to."""
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "email", address)
    return found.reason if found else None


def refused(app: FastAPI, reason: str) -> float:
    """How often SES said something that was not used, for this reason."""
    found = app.state.context.metrics.registry.get_sample_value(
        "perennial_rejected_total", {"source": "ses", "reason": reason}
    )
    return float(found or 0)


async def told(db: Database) -> list[tuple[object, ...]]:
    """The names of the contact's events with what is particular to them."""
    return await rows(
        db,
        "SELECT name, properties - ARRAY['message_id', 'track', 'step', 'enrollment_id'] FROM event "
        "ORDER BY received_at",
    )


async def test_every_documented_bounce_does_what_the_table_says(api: Api, db: Database, signer: Signer) -> None:
    for tagged in (True, False):
        for kind, sub_type in BOUNCES:
            sent = await sending(api, db, "email", contact_id=new_id())
            await tell(api.client, signer.notification(send(sent)))
            said = bounce(sent if tagged else None, kind, sub_type)
            await _own_id(db, sent, said)
            assert await tell(api.client, signer.notification(said)) == 204
            found = await message(db, sent)
            assert (found.delivery, found.delivery_reason) == (
                "bounced",
                f"bounce-{kind.lower()}-{sub_type.lower()}",
            )
            assert (await told(db))[-1] == ("email.bounced", {"bounce": kind.lower(), "detail": sub_type.lower()})
            assert await suppressed(db) == ("bounced" if kind == "Permanent" else None)
            await _forget(db)


async def test_every_documented_complaint_suppresses_but_the_one_that_is_none(
    api: Api, db: Database, signer: Signer
) -> None:
    for feedback, sub_type in COMPLAINTS:
        sent = await sending(api, db, "email", contact_id=new_id())
        assert await tell(api.client, signer.notification(complaint(sent, feedback, sub_type))) == 204
        found = await message(db, sent)
        if feedback == "not-spam":
            assert (found.delivery, await suppressed(db), await told(db)) == ("delivered", None, [])
        else:
            said = (sub_type or feedback or "").lower()
            assert (found.delivery, found.delivery_reason) == (
                "complained",
                f"complaint-{said}" if said else "complaint",
            )
            assert await suppressed(db) == "complained"
            assert [name for name, _ in await told(db)] == ["email.complained"]
        await _forget(db)


async def test_delays_and_failures_are_in_the_ledger_and_suppress_nobody(
    api: Api, db: Database, signer: Signer
) -> None:
    for kind in DELAYS:
        sent = await sending(api, db, "email", contact_id=new_id())
        await tell(api.client, signer.notification(delay(sent, kind)))
        found = await message(db, sent)
        assert (found.delivery, found.delivery_reason) == ("delayed", f"delay-{kind.lower()}")
        await another_day(db)
    assert await told(db) == []
    for said, reason in ((reject, "reject"), (rendering_failure, "rendering-failure")):
        sent = await sending(api, db, "email", contact_id=new_id())
        await tell(api.client, signer.notification(said(sent)))
        found = await message(db, sent)
        assert (found.status, found.delivery, found.delivery_reason) == ("sent", "failed", reason)
        assert (await told(db))[-1] == ("email.failed", {"error": reason})
        await another_day(db)
    assert await suppressed(db) is None
    assert EMAIL not in str(await rows(db, "SELECT e::text FROM event e UNION SELECT m::text FROM message m"))


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


async def test_where_a_forwarded_message_bounces_the_address_it_went_to_is_suppressed(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    await tell(api.client, signer.notification(bounce(sent, who=[{"emailAddress": "forwarded@example.org"}])))
    assert await suppressed(db) == "bounced"


@pytest.mark.parametrize("who", [None, [], ["another@example.org"], [f"v{n}@example.org" for n in range(100)]])
@pytest.mark.parametrize("kind", ["bounce", "complaint"])
async def test_only_whom_a_message_went_to_is_suppressed_whoever_is_named(
    api: Api, db: Database, signer: Signer, app: FastAPI, kind: str, who: list[str] | None
) -> None:
    """A message has one recipient: mail is forwarded, reports leave names out, and others are none of its business."""
    sent = await sending(api, db, "email")
    said = bounce(sent) if kind == "bounce" else complaint(sent)
    name = "bouncedRecipients" if kind == "bounce" else "complainedRecipients"
    said[kind][name] = None if who is None else [{"emailAddress": one} for one in who]
    before = refused(app, "not-the-recipient")
    assert await tell(api.client, signer.notification(said)) == 204
    assert await suppressed(db) == ("bounced" if kind == "bounce" else "complained")
    assert len(await rows(db, "SELECT 1 FROM suppression")) == 1
    assert refused(app, "not-the-recipient") - before == len(who or [])


async def test_a_bounce_of_others_while_ours_is_still_being_tried_suppresses_nobody(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    who = [{"emailAddress": EMAIL, "action": "delayed"}, {"emailAddress": "x@example.org", "action": "failed"}]
    await tell(api.client, signer.notification(bounce(sent, who=who)))
    assert await rows(db, "SELECT 1 FROM suppression") == []


async def test_what_was_told_before_suppresses_nothing_again(api: Api, db: Database, signer: Signer) -> None:
    """An operator has lifted it since: a captured notification, or a second one of the same thing, is no news."""
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
    assert await suppressed(db) == "bounced"  # of another message it is


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
        await contacts.erase(tx, "user-1")
    said = complaint(sent)
    said["complaint"]["complainedRecipients"].append({"emailAddress": "another@example.org"})
    await tell(api.client, signer.notification(said))
    assert (await suppressed(db), await suppressed(db, "another@example.org")) == ("complained", None)


@pytest.mark.parametrize(("kind", "sub_type"), [pair for pair in BOUNCES if pair[0] != "Permanent"])
async def test_an_automatic_answer_to_a_message_that_arrived_is_no_bounce(
    api: Api, db: Database, signer: Signer, app: FastAPI, kind: str, sub_type: str
) -> None:
    """SES tells of it as a transient bounce. It leaves the message delivered, whichever comes first."""
    sent = await sending(api, db, "email")
    before = refused(app, "bounced-after-delivery")
    for said in (delivery(sent), bounce(sent, kind, sub_type)):
        await tell(api.client, signer.notification(said))
    assert (await message(db, sent)).delivery == "delivered"
    assert [name for name, _ in await told(db)] == ["email.delivered"]
    assert refused(app, "bounced-after-delivery") - before == 1
    assert await rows(db, "SELECT 1 FROM message WHERE bad") == []  # what `send: best` and breakers look at
    await another_day(db)
    early = await sending(api, db, "email", contact_id=new_id())
    for said in (bounce(early, kind, sub_type), delivery(early)):
        await tell(api.client, signer.notification(said))
    assert (await message(db, early)).delivery == "delivered"
    await tell(api.client, signer.notification(bounce(early)))  # a real one that comes late is permanent
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
        await _forget(db)


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


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_any_order_and_any_repeats_end_the_same(
    api: Api, db: Database, signer: Signer, data: st.DataObject
) -> None:
    """The ledger, the suppressions, and how often the tracks are told of each thing."""
    settled = data.draw(st.booleans(), label="the send was answered before")
    chosen = data.draw(st.lists(_one_of_a_kind(), min_size=2, max_size=6, unique=True))
    repeated = chosen + data.draw(st.lists(st.sampled_from(chosen), max_size=3))
    arrived = any(_progress(record) == "delivered" for index, record in enumerate(everything("x")) if index in chosen)
    ends = []
    for order in (chosen, data.draw(st.permutations(repeated))):
        sent = await sending(api, db, "email", contact_id=new_id())
        records = everything(sent)
        for record in records:
            await _own_id(db, sent, record)
        if settled:
            async with db.transaction() as tx:
                await settling.settle(tx, sent, token="one", outcome="sent", provider_id=f"ses-{sent}")
        notifications = {index: signer.notification(records[index]) for index in chosen}
        for index in order:
            if settled or "tags" in records[index]["mail"]:
                assert await tell(api.client, notifications[index]) == 204
        found = await message(db, sent)
        # A bounce that is not permanent is news until it is known that the message arrived.
        heard = [(name, said) for name, said in await told(db) if not (arrived and _is_soft(name, said))]
        names = Counter(name for name, _ in heard)
        ends.append((found.status, found.reason, found.delivery, found.delivery_reason, await suppressed(db), names))
        await _forget(db)
    assert ends[0] == ends[1]
    assert ends[0][0] == ("sent" if ends[0][2] or settled else "sending")


def _progress(record: dict[str, Any]) -> str | None:
    found = ses_events.read(record)
    return found.progress if found else None


def _is_soft(name: object, said: object) -> bool:
    return name == "email.bounced" and isinstance(said, dict) and said["bounce"] != "permanent"


def _one_of_a_kind() -> st.SearchStrategy[int]:
    """Where in `everything`: a kind first, as there are many more bounces than deliveries."""
    kinds: dict[str, list[int]] = {}
    for index, record in enumerate(everything("x")):
        kinds.setdefault(record.get("eventType") or record["notificationType"], []).append(index)
    often = [*kinds, "Bounce", "Bounce", "Complaint", "Complaint", "Subscription"]
    return st.sampled_from(often).flatmap(lambda kind: st.sampled_from(kinds[kind]))


async def test_the_harshest_reason_stays(api: Api, db: Database, signer: Signer) -> None:
    for order in ((bounce, complaint), (complaint, bounce)):
        sent = await sending(api, db, "email", contact_id=new_id())
        for said in order:
            await tell(api.client, signer.notification(said(sent)))
        assert await suppressed(db) == "complained"
        await _forget(db)


async def _own_id(db: Database, sent: str, record: dict[str, Any]) -> None:
    """Give the message an id of its own at SES."""
    record["mail"]["messageId"] = f"ses-{sent}"
    async with db.transaction() as tx:
        await tx.execute(
            text("UPDATE message SET provider_id = :own WHERE id = :id AND provider_id = :all"),
            {"id": sent, "own": f"ses-{sent}", "all": SES_ID},
        )


async def _forget(db: Database) -> None:
    """No suppression and no event, for the next message to the same address."""
    async with db.transaction() as tx:
        await tx.execute(text("DELETE FROM suppression"))
        await tx.execute(text("DELETE FROM event"))
    await another_day(db)
