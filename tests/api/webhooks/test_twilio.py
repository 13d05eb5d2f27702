"""Twilio's callbacks settle the ledger and carry replies; forged ones do nothing."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from api.webhooks.twilio_events import keyword
from settings import Settings
from store.engine.database import Database
from store.people.consents import suppressions
from tests.api.client import Api
from tests.api.messages import PHONE, another_day, message, rows, sending
from tests.api.twilio_calls import call, reply, sid, status, suppressed


async def test_a_status_settles_a_message_whose_outcome_nobody_knew(api: Api, db: Database) -> None:
    sent = await sending(api, db, "sms")
    for stage in ("queued", "sent", "delivered", "delivered"):
        answer = await call(api.client, f"/webhooks/twilio/status/{sent}", status(stage))
        assert answer.status_code == 204
    found = await message(db, sent)
    assert (found.status, found.provider_id, found.delivery) == ("sent", sid(1), "delivered")
    assert await rows(db, "SELECT name FROM event ORDER BY name") == [("sms.delivered",), ("sms.sent",)]


async def test_a_failure_reaches_the_run_with_its_code_only(api: Api, db: Database) -> None:
    sent = await sending(api, db, "sms")
    form = status("undelivered", ErrorCode="30003", ErrorMessage=f"Unreachable {PHONE}")
    await call(api.client, f"/webhooks/twilio/status/{sent}", form)
    ((name, properties),) = await rows(db, "SELECT name, properties FROM event")
    assert name == "sms.failed"
    assert isinstance(properties, dict)
    assert (properties["error"], properties["class"]) == ("twilio-30003", "unreachable")
    assert PHONE not in str(properties)
    assert len(await rows(db, "SELECT 1 FROM outbox WHERE kind = 'event'")) == 1
    assert (await message(db, sent)).delivery_reason == "unreachable: twilio-30003"


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [  # https://www.twilio.com/docs/api/errors/<code>
        ("30003", "unreachable", None),
        ("30004", "blocked", "stop"),
        ("30005", "invalid", "bounced"),
        ("30006", "landline", "bounced"),
        ("30007", "filtered", None),
        ("30008", "unknown", None),
        ("30034", "carrier", None),
        ("21610", "unsubscribed", "stop"),
        ("99999", "unknown", None),
        ("", "unknown", None),
        ("Ada is away", "unknown", None),
    ],
)
async def test_an_error_has_a_class_and_some_suppress_the_number(
    api: Api, db: Database, code: str, kind: str, reason: str | None
) -> None:
    sent = await sending(api, db, "sms")
    await api.contact("user-1", phone="+41446681899")
    form = status("failed", **({"ErrorCode": code} if code else {}))
    assert (await call(api.client, f"/webhooks/twilio/status/{sent}", form)).status_code == 204
    ((properties,),) = await rows(db, "SELECT properties FROM event")
    assert isinstance(properties, dict)
    said = f"twilio-{code}" if code.isdigit() else "undelivered"
    assert (properties["error"], properties["class"]) == (said, kind)
    assert (await message(db, sent)).delivery_reason == f"{kind}: {said}"
    assert (await suppressed(db), await suppressed(db, "+41446681899")) == (reason, None)


async def test_statuses_in_any_order_end_the_same(api: Api, db: Database) -> None:
    ways = [("queued", "sending", "sent", "undelivered"), ("undelivered", "sent", "undelivered", "queued", "sending")]
    ends = []
    for contact_id, stages in enumerate(ways):
        sent = await sending(api, db, "sms", contact_id=f"user-{contact_id}")
        for stage in stages:
            more = {"ErrorCode": "30005"} if stage == "undelivered" else {}
            await call(api.client, f"/webhooks/twilio/status/{sent}", status(stage, **more))
        found = await message(db, sent)
        ends.append((found.status, found.delivery, found.delivery_reason, await suppressed(db)))
        async with db.transaction() as tx:
            await suppressions.remove(tx, "sms", PHONE)
        await another_day(db)
    assert ends == [("sent", "failed", "invalid: twilio-30005", "bounced")] * 2


async def test_a_reply_reaches_the_run_without_its_text(api: Api, db: Database) -> None:
    sent = await sending(api, db, "sms")
    await call(api.client, f"/webhooks/twilio/status/{sent}", status("sent"))
    for _ in range(2):
        answer = await call(api.client, "/webhooks/twilio/inbound", reply("Yes please, call Ada on Monday"))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert answer.text.endswith("<Response/>")
    ((contact, properties),) = await rows(db, "SELECT contact_id, properties FROM event WHERE name = 'sms.replied'")
    assert contact == "user-1"
    assert isinstance(properties, dict)
    assert (properties["keyword"], properties["length"], properties["step"]) == ("YES", 30, "hello")
    assert "Ada" not in str(await rows(db, "SELECT e::text FROM event e"))


async def test_stop_suppresses_the_number_and_start_allows_it(api: Api, db: Database) -> None:
    await sending(api, db, "sms")
    await call(api.client, "/webhooks/twilio/inbound", reply(" stop. "))
    assert await suppressed(db) == "stop"
    assert await rows(db, "SELECT name FROM event ORDER BY name") == [("contact.unsubscribed",), ("sms.replied",)]
    await call(api.client, "/webhooks/twilio/inbound", reply("START", MessageSid=sid(10)))
    assert await suppressed(db) is None


@pytest.mark.parametrize("harsher", ["bounced", "complained"])
async def test_start_takes_back_a_stop_and_nothing_else(api: Api, db: Database, harsher: str) -> None:
    async with db.transaction() as tx:
        await suppressions.add(tx, "sms", PHONE, harsher)
    for number, word in enumerate(("STOP", "START")):
        await call(api.client, "/webhooks/twilio/inbound", reply(word, MessageSid=sid(number)))
        assert await suppressed(db) == harsher


async def test_yes_takes_nothing_back(api: Api, db: Database) -> None:
    for number, word in enumerate(("STOP", "YES")):
        await call(api.client, "/webhooks/twilio/inbound", reply(word, MessageSid=sid(number)))
    assert await suppressed(db) == "stop"


async def test_a_reply_is_about_the_last_text_from_the_number_it_goes_to(api: Api, db: Database) -> None:
    ours, other = "+15005550006", "+15005550007"
    about = {}
    for step, sender in (("first", ours), ("second", other)):
        about[sender] = sent = await sending(api, db, "sms", step=step)
        await call(api.client, f"/webhooks/twilio/status/{sent}", status("sent", From=sender))
    for number, sender in enumerate((ours, other, "+15005550008")):
        form = reply("Gladly", To=sender, MessageSid=sid(number))
        await call(api.client, "/webhooks/twilio/inbound", form)
    found = await rows(db, "SELECT properties ->> 'message_id' FROM event WHERE name = 'sms.replied' ORDER BY event_id")
    assert found == [(about[ours],), (about[other],), (None,)]


async def test_of_contacts_who_share_a_number_one_has_answered(api: Api, db: Database) -> None:
    await sending(api, db, "sms", contact_id="user-1")
    await another_day(db)
    sent = await sending(api, db, "sms", contact_id="user-2")
    await call(api.client, f"/webhooks/twilio/status/{sent}", status("sent"))
    await call(api.client, "/webhooks/twilio/inbound", reply("Gladly"))
    found = await rows(
        db, "SELECT contact_id, properties ->> 'message_id' FROM event WHERE name = 'sms.replied' ORDER BY contact_id"
    )
    assert found == [("user-1", None), ("user-2", sent)]


async def test_help_is_left_to_twilio_unless_there_is_a_text(
    api: Api, db: Database, settings: Settings, app: FastAPI
) -> None:
    async def said(body: str, **more: str) -> str:
        return (await call(api.client, "/webhooks/twilio/inbound", reply(body, **more))).text  # first or repeated

    assert (await said("HELP")).endswith("<Response/>")
    app.state.context.settings.sms_help_text = "Acme <3: help@acme.test"
    assert "<Message>Acme &lt;3: help@acme.test</Message>" in await said("Info")
    assert (await said("HELP", OptOutType="HELP")).endswith("<Response/>")
    assert (await said("Help me choose a plan")).endswith("<Response/>")
    assert (await said("STOP")).endswith("<Response/>")


async def test_stop_counts_from_somebody_unknown_too(api: Api, db: Database) -> None:
    assert (await call(api.client, "/webhooks/twilio/inbound", reply("STOP", From="+41446681899"))).status_code == 200
    async with db.transaction() as tx:
        assert await suppressions.find(tx, "sms", "+41446681899") is not None


async def test_a_status_of_a_message_that_is_not_ours_is_answered_well(api: Api, db: Database) -> None:
    for name in ("nothing", "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"):
        assert (await call(api.client, f"/webhooks/twilio/status/{name}", status("sent"))).status_code == 204
    assert await rows(db, "SELECT 1 FROM event") == []


@pytest.mark.parametrize(
    ("body", "more", "word"),
    [
        ("STOP", {}, "STOP"),
        ("stop!", {}, "STOP"),
        ("Stop texting me", {}, "STOP"),
        ("End of the week works", {}, ""),
        ("cancel", {}, "CANCEL"),
        ("StopAll", {}, "STOPALL"),
        ("unsubscribe", {}, "UNSUBSCRIBE"),
        ("quit", {}, "QUIT"),
        ("END", {}, "END"),
        ("optout", {}, "OPTOUT"),
        ("Opt-out please", {}, "OPTOUT"),
        ("opt out", {}, "OPTOUT"),
        ("REVOKE", {}, "REVOKE"),
        ("Arrêt", {}, "ARRET"),
        ("start", {}, "START"),
        ("Start on Monday?", {}, ""),
        ("unstop", {}, "UNSTOP"),
        ("help", {}, "HELP"),
        ("INFO", {}, "INFO"),
        ("oui", {"OptOutType": "START"}, "START"),
        ("aide", {"OptOutType": "HELP"}, "HELP"),
        ("arret", {"OptOutType": "STOP"}, "STOP"),
        ("yes", {}, "YES"),
        ("My name is Ada", {}, ""),
        ("", {}, ""),
        ("👍", {}, ""),
    ],
)
def test_only_words_with_a_meaning_of_their_own_are_kept(body: str, more: dict[str, Any], word: str) -> None:
    assert keyword({"Body": body} | more) == word
