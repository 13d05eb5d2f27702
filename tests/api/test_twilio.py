"""Twilio's callbacks settle the ledger and carry replies; forged ones do nothing."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from sqlalchemy import text
from twilio.request_validator import RequestValidator

from api.webhooks.twilio_events import keyword
from settings import Settings
from store import suppressions
from store.database import Database
from tests.api.client import Api
from tests.api.conftest import TWILIO_TOKEN
from tests.api.messages import PHONE, another_day, message, rows, sending

PUBLIC = "https://nurture.acme.test"


async def call(
    client: httpx.AsyncClient, path: str, form: dict[str, str], *, token: str = TWILIO_TOKEN, url: str | None = None
) -> httpx.Response:
    """Call as Twilio does: signed over the public address and the form."""
    signature = RequestValidator(token).compute_signature(url or PUBLIC + path, form)
    return await client.post(path, data=form, headers={"X-Twilio-Signature": signature})


def sid(number: int) -> str:
    """A message's id as Twilio writes it."""
    return f"SM{number:032x}"


def status(stage: str, **more: str) -> dict[str, str]:
    return {"MessageSid": sid(1), "MessageStatus": stage, "AccountSid": "AC1", "To": PHONE} | more


def reply(body: str, **more: str) -> dict[str, str]:
    return {"MessageSid": sid(9), "From": PHONE, "To": "+15005550006", "Body": body} | more


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


def refused(app: FastAPI, reason: str) -> float:
    """How often Twilio said something that was not used, for this reason."""
    found = app.state.context.metrics.registry.get_sample_value(
        "perennial_rejected_total", {"source": "twilio", "reason": reason}
    )
    return float(found or 0)


async def suppressed(db: Database, phone: str = PHONE) -> str | None:
    """Why the number is not written to."""
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "sms", phone)
    return found.reason if found else None


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


async def test_a_forged_call_changes_nothing(api: Api, db: Database, settings: Settings) -> None:
    sent = await sending(api, db, "sms")
    path, form = f"/webhooks/twilio/status/{sent}", status("delivered")
    unsigned = await api.client.post(path, data=form)
    other_token = await call(api.client, path, form, token="another token")
    other_address = await call(api.client, path, form, url="http://127.0.0.1" + path)
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(PUBLIC + path, form)
    changed = await api.client.post(path, data=form | {"MessageSid": sid(2)}, headers={"X-Twilio-Signature": signature})
    settings.twilio_auth_token = type(settings.twilio_auth_token)("")
    without_account = await call(api.client, path, form, token="")
    answers = [unsigned, other_token, other_address, changed, without_account]
    assert [answer.status_code for answer in answers] == [403] * 5
    assert unsigned.headers["content-type"] == "application/problem+json"
    assert (await message(db, sent)).status == "sending"
    assert await rows(db, "SELECT 1 FROM event") == []


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
        return (await call(api.client, "/webhooks/twilio/inbound", reply(body, **more))).text  # heard once or again

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


@pytest.mark.parametrize("channel", ["", "whatsapp:", "rcs:"])
async def test_a_reply_counts_by_whatever_channel_the_number_writes(api: Api, db: Database, channel: str) -> None:
    await sending(api, db, "sms")
    await call(api.client, "/webhooks/twilio/inbound", reply("STOP", From=channel + PHONE))
    assert await suppressed(db) == "stop"
    assert await rows(db, "SELECT name FROM event ORDER BY name") == [("contact.unsubscribed",), ("sms.replied",)]


@pytest.mark.parametrize("sender", ["12345", "ACME", "messenger:1234567890", "+0123456789", "+4144668180012345", ""])
async def test_what_no_number_wrote_is_answered_well_and_suppresses_nothing(
    api: Api, db: Database, app: FastAPI, sender: str
) -> None:
    before = refused(app, "unknown-sender")
    assert (await call(api.client, "/webhooks/twilio/inbound", reply("STOP", From=sender))).status_code == 200
    assert await rows(db, "SELECT 1 FROM suppression UNION ALL SELECT 1 FROM event") == []
    assert refused(app, "unknown-sender") - before == 1


@pytest.mark.parametrize(
    "body", ["STOP\0", "\0STOP", "ST\0OP", "STOP\x07", "\x1bstop", "\u200bSTOP", "\ufeffStop", "STOP\n\0"]
)
async def test_control_characters_hide_no_stop(api: Api, db: Database, body: str) -> None:
    """Twilio does not repeat what was refused: https://github.com/chatwoot/chatwoot/issues/7901."""
    await sending(api, db, "sms")
    assert (await call(api.client, "/webhooks/twilio/inbound", reply(body))).status_code == 200
    assert await suppressed(db) == "stop"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(st.characters(max_codepoint=0x2F)))
@settings_of(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_text_is_refused(api: Api, db: Database, app: FastAPI, body: str, place: str) -> None:
    """A reply is told whatever is in it, and what of it cannot be kept is counted."""
    await api.contact("user-1", phone=PHONE)
    before = refused(app, "unstorable")
    form = reply(body, MessageSid=sid(uuid.uuid4().int), FromCity=place)
    assert (await call(api.client, "/webhooks/twilio/inbound", form)).status_code == 200
    ((count,),) = await rows(db, f"SELECT count(*) FROM event WHERE event_id LIKE 'twilio:{form['MessageSid']}:user-1'")
    assert count == 1
    assert refused(app, "unstorable") - before == ("\0" in body + place)


async def test_a_nul_in_a_status_costs_nothing(api: Api, db: Database) -> None:
    sent = await sending(api, db, "sms")
    form = status("undelivered", ErrorCode="30005", ErrorMessage="No such\0number")
    assert (await call(api.client, f"/webhooks/twilio/status/{sent}", form)).status_code == 204
    assert await suppressed(db) == "bounced"


@pytest.mark.parametrize("known", [True, False], ids=["a contact's number", "nobody's number"])
async def test_a_call_that_was_heard_before_changes_nothing(api: Api, db: Database, app: FastAPI, known: bool) -> None:
    """A captured request is signed well for ever."""
    await sending(api, db, "sms")
    phone = PHONE if known else "+41446681899"
    stop, start, stop_again = (
        reply(word, From=phone, MessageSid=sid(number)) for number, word in enumerate(("STOP", "START", "STOP"))
    )
    before = refused(app, "duplicate")
    for form, ends in ((stop, "stop"), (start, None), (stop, None), (stop_again, "stop"), (start, "stop")):
        assert (await call(api.client, "/webhooks/twilio/inbound", form)).status_code == 200
        assert await suppressed(db, phone) == ends
    assert refused(app, "duplicate") - before == 2
    async with db.transaction() as tx:  # as heard by a version that did not remember it yet
        await tx.execute(text("DELETE FROM inbound_text"))
    await call(api.client, "/webhooks/twilio/inbound", start)
    assert await suppressed(db, phone) == ("stop" if known else None)


async def test_a_form_that_is_cut_otherwise_than_twilio_did_is_about_nobody(
    api: Api, db: Database, app: FastAPI
) -> None:
    """Twilio signs names and values without a mark between them, so these have the signature of the first."""
    await sending(api, db, "sms")
    form = reply("STOP")
    path = "/webhooks/twilio/inbound"
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(PUBLIC + path, form)
    swallowed = {"Body": "STOP", "From": f"{PHONE}MessageSid{form['MessageSid']}To{form['To']}"}
    longer = {"Body": "STOP", "From": PHONE, "MessageSid": f"{form['MessageSid']}To{form['To']}"}
    before = refused(app, "no-message")
    for cut in (swallowed, longer):
        answer = await api.client.post(path, data=cut, headers={"X-Twilio-Signature": signature})
        assert answer.status_code == 200  # its signature is right
    assert refused(app, "no-message") - before == 2
    assert await rows(db, "SELECT 1 FROM suppression UNION ALL SELECT 1 FROM event") == []


async def test_a_failure_suppresses_the_number_that_the_message_went_to_and_no_other(
    api: Api, db: Database, app: FastAPI
) -> None:
    sent = await sending(api, db, "sms")
    before = refused(app, "not-the-recipient")
    form = status("failed", ErrorCode="30005", To="+41446681899")
    assert (await call(api.client, f"/webhooks/twilio/status/{sent}", form)).status_code == 204
    assert await rows(db, "SELECT 1 FROM suppression") == []
    assert refused(app, "not-the-recipient") - before == 1


async def test_a_failure_that_was_told_before_suppresses_nothing_again(api: Api, db: Database) -> None:
    sent = await sending(api, db, "sms")
    form = status("failed", ErrorCode="30005")
    for ends in ("bounced", None):
        await call(api.client, f"/webhooks/twilio/status/{sent}", form)
        assert await suppressed(db) == ends
        async with db.transaction() as tx:
            await suppressions.remove(tx, "sms", PHONE)


async def test_a_failure_that_suppresses_counts_also_after_one_that_does_not(api: Api, db: Database) -> None:
    sent = await sending(api, db, "sms")
    for code in ("30003", "30005"):
        await call(api.client, f"/webhooks/twilio/status/{sent}", status("failed", ErrorCode=code))
    assert await suppressed(db) == "bounced"


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
