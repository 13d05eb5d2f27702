"""Calls in Twilio's name that are forged, repeated, split differently, or hold characters that cannot be stored."""

from __future__ import annotations

import uuid

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from sqlalchemy import text
from twilio.request_validator import RequestValidator

from settings import Settings
from store.engine.database import Database
from store.people.consents import suppressions
from tests.api.client import Api
from tests.api.conftest import TWILIO_TOKEN
from tests.api.messages import PHONE, message, rows, sending
from tests.api.twilio_calls import PUBLIC, call, refused, reply, sid, status, suppressed


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


@pytest.mark.parametrize("channel", ["", "whatsapp:"])
async def test_a_signed_text_is_not_cut_into_one_of_another_sender(api: Api, db: Database, channel: str) -> None:
    """Twilio signs `Body…From…MessageSid…To…` without separators, and the sender wrote the first part."""
    victim, sender = PHONE, channel + "+15005550009"
    heard = reply(f"STOPFrom{victim}MessageSid{sid(8)}N", From=sender)
    rest = f"From{sender}MessageSid{heard['MessageSid']}To{heard['To']}"
    cut = {"Body": "STOP", "From": victim, "MessageSid": sid(8), "N": rest}
    signatures = [RequestValidator(TWILIO_TOKEN).compute_signature(PUBLIC, form) for form in (heard, cut)]
    assert signatures[0] == signatures[1]
    assert (await call(api.client, "/webhooks/twilio/inbound", heard)).status_code == 200
    assert (await call(api.client, "/webhooks/twilio/inbound", cut)).status_code == 403
    assert await suppressed(db, victim) is None


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
    """Twilio does not repeat refused calls: https://github.com/chatwoot/chatwoot/issues/7901."""
    await sending(api, db, "sms")
    assert (await call(api.client, "/webhooks/twilio/inbound", reply(body))).status_code == 200
    assert await suppressed(db) == "stop"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(st.characters(max_codepoint=0x2F)))
@settings_of(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_text_is_refused(api: Api, db: Database, app: FastAPI, body: str, place: str) -> None:
    """A reply becomes an event whatever it holds. Removed characters are counted."""
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
    """A captured request has a valid signature for ever."""
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
    async with db.transaction() as tx:  # as stored by a version that did not store the id yet
        await tx.execute(text("DELETE FROM inbound_text"))
    await call(api.client, "/webhooks/twilio/inbound", start)
    assert await suppressed(db, phone) == ("stop" if known else None)


async def test_a_form_that_is_cut_otherwise_than_twilio_did_is_about_nobody(
    api: Api, db: Database, app: FastAPI
) -> None:
    """Twilio signs names and values without separators, so these have the signature of the first."""
    await sending(api, db, "sms")
    form = reply("STOP")
    path = "/webhooks/twilio/inbound"
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(PUBLIC + path, form)
    swallowed = {"Body": "STOP", "From": f"{PHONE}MessageSid{form['MessageSid']}To{form['To']}"}
    longer = {"Body": "STOP", "From": PHONE, "MessageSid": f"{form['MessageSid']}To{form['To']}"}
    before = refused(app, "no-message")
    for cut in (swallowed, longer):
        answer = await api.client.post(path, data=cut, headers={"X-Twilio-Signature": signature})
        assert answer.status_code == 200  # its signature is valid
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
