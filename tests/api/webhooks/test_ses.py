"""SES events reach the ledger and the tracks, each once; forged ones do nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks import ses_events
from store.engine.database import Database
from tests.api.client import Api
from tests.api.messages import EMAIL, message, rows, sending
from tests.api.ses_payloads import SES_ID, bounce, click, complaint, delivery, everything, send
from tests.api.sns import TOPIC, Signer, tell

pytestmark = pytest.mark.usefixtures("amazon")


async def test_a_send_event_settles_a_message_whose_outcome_nobody_knew(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    assert await tell(api.client, signer.notification(send(sent))) == 204
    found = await message(db, sent)
    assert (found.status, found.provider_id, found.delivery) == ("sent", SES_ID, "accepted")


async def test_a_click_reaches_the_run_without_the_links_query(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    clicked = click(sent, f"https://acme.test/start?email={EMAIL}#top", {"cta": ["top"]})
    assert await tell(api.client, signer.notification(clicked)) == 204
    ((name, contact, properties),) = await rows(db, "SELECT name, contact_id, properties FROM event")
    assert (name, contact) == ("email.clicked", "user-1")
    assert isinstance(properties, dict)
    assert properties["link"] == "https://acme.test/start"
    assert (properties["message_id"], properties["step"], properties["track"]) == (sent, "hello", "welcome")
    assert len(await rows(db, "SELECT 1 FROM outbox WHERE kind = 'event'")) == 1
    assert (await message(db, sent)).delivery == "delivered"


async def test_a_notification_delivered_again_counts_once_and_a_second_click_twice(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    once = signer.notification(click(sent))
    for notification in (once, once, signer.notification(click(sent))):
        assert await tell(api.client, notification) == 204
    assert len(await rows(db, "SELECT 1 FROM event WHERE name = 'email.clicked'")) == 2


async def test_a_delivery_told_by_two_notifications_counts_once(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    for _ in range(2):
        await tell(api.client, signer.notification(delivery(sent)))
    assert len(await rows(db, "SELECT 1 FROM event WHERE name = 'email.delivered'")) == 1


async def test_a_forged_notification_changes_nothing(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    good = signer.notification(bounce(sent))
    certificate = good["SigningCertURL"]
    forged: list[dict[str, Any]] = [
        Signer().notification(bounce(sent)),
        good | {"Message": good["Message"].replace("General", "NoEmail")},
        good | {"SigningCertURL": "https://evil.test/cert.pem"},
        good | {"SigningCertURL": certificate.replace("https:", "http:")},
        good | {"SigningCertURL": certificate.replace("amazonaws.com", "amazonaws.com.evil.test")},
        good | {"TopicArn": TOPIC + "-of-another"},
        good | {"SignatureVersion": "3"},
        good | {"SignatureVersion": "1"},
        good | {"Signature": ""},
        good | {"Type": "SubscriptionConfirmation"},
        {name: value for name, value in good.items() if name != "Signature"},
        bounce(sent),  # as raw delivery would send it: without a signature
        {},
    ]
    assert [await tell(api.client, notification) for notification in forged] == [403] * len(forged)
    assert (await message(db, sent)).status == "sending"
    assert await rows(db, "SELECT 1 FROM event") == []
    assert await rows(db, "SELECT 1 FROM suppression") == []


async def test_an_oversized_notification_is_not_read(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    assert await tell(anonymous, signer.notification({"eventType": "Send", "padding": "x" * 1_100_000})) == 413


async def test_a_subscription_confirms_itself(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    signer.visited.clear()
    assert await tell(anonymous, signer.confirmation()) == 204
    assert any("ConfirmSubscription" in url for url in signer.visited)


async def test_a_subscription_to_another_host_is_refused(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    signer.visited.clear()
    assert (
        await tell(anonymous, signer.confirmation(SubscribeURL="https://evil.test/?Action=ConfirmSubscription")) == 403
    )
    assert not any("ConfirmSubscription" in url for url in signer.visited)


async def test_the_end_of_a_subscription_is_taken_note_of_and_never_undone(
    anonymous: httpx.AsyncClient, signer: Signer
) -> None:
    signer.visited.clear()
    assert await tell(anonymous, signer.confirmation(Type="UnsubscribeConfirmation")) == 204
    assert not any("ConfirmSubscription" in url for url in signer.visited)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"notificationType": "AmazonSnsSubscriptionSucceeded"},
        send("not-an-id"),
        send("0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"),
        bounce(None),
        complaint(None),
        {"eventType": "Send", "mail": {"tags": {"perennial-message": "x"}}},
    ],
)
async def test_what_is_not_about_a_message_of_ours_is_answered_well(
    anonymous: httpx.AsyncClient, db: Database, signer: Signer, said: dict[str, Any]
) -> None:
    assert await tell(anonymous, signer.notification(said)) == 204
    assert await rows(db, "SELECT 1 FROM event") == []
    assert await rows(db, "SELECT 1 FROM suppression") == []


async def test_what_may_be_about_a_message_that_is_just_being_sent_is_asked_for_again(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    early = delivery(None)
    early["mail"]["timestamp"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert await tell(api.client, signer.notification(early)) == 503
    await tell(api.client, signer.notification(send(sent)))
    assert await tell(api.client, signer.notification(early)) == 204
    assert (await message(db, sent)).delivery == "delivered"


async def test_text_that_is_no_event_is_answered_well(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    message = signer.sign({"Type": "Notification", "Message": "Successfully validated SNS topic"}, "1")
    assert await tell(anonymous, message) == 204


_ANY_TEXT = st.text(st.characters(max_codepoint=0x3FF), max_size=20)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANY_TEXT, inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(everything("m-1")), st.sampled_from(["mail", "detail"]), st.data())
def test_no_malformed_part_breaks_the_reading(said: dict[str, Any], part: str, data: st.DataObject) -> None:
    key = "mail" if part == "mail" else list(said)[2]
    field = data.draw(st.sampled_from(sorted(said[key]) or ["timestamp"]))
    found = ses_events.read(said | {key: said[key] | {field: data.draw(_ANYTHING)}})
    assert found is None or found.at.tzinfo is not None
    assert found is None or "\0" not in f"{found.reason}{found.provider_id}{found.properties}"
