"""SES events settle the ledger, protect the contact and reach the tracks; forged ones do nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks import ses_events
from api.webhooks.sns_signature import SnsVerifier
from store import suppressions
from store.database import Database
from tests.api.client import Api
from tests.api.messages import EMAIL, message, rows, sending
from tests.api.sns import Signer


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(autouse=True)
async def amazon(app: FastAPI, signer: Signer) -> AsyncIterator[None]:
    """Amazon's SNS host is this test's signer."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signer.app)) as client:
        context = app.state.context
        object.__setattr__(context, "sns", SnsVerifier(client, sandbox=None))
        yield


def event(kind: str, message_id: str, **detail: Any) -> dict[str, Any]:
    """What SES says, in the shape of its documentation."""
    mail = {
        "timestamp": "2026-11-21T12:00:00.000Z",
        "messageId": "0100019-ses",
        "destination": [EMAIL],
        "tags": {"ses:configuration-set": ["perennial"], "perennial-message": [message_id]},
    }
    names = {"Send": "send", "Bounce": "bounce", "Complaint": "complaint", "Open": "open", "Click": "click"}
    return {
        "eventType": kind,
        "mail": mail,
        names.get(kind, "delivery"): {"timestamp": "2026-11-21T12:00:01.000Z"} | detail,
    }


async def tell(anyone: httpx.AsyncClient, notification: dict[str, str]) -> int:
    """Deliver as SNS does: JSON that calls itself text."""
    answer = await anyone.post(
        "/webhooks/ses", content=json.dumps(notification), headers={"Content-Type": "text/plain; charset=UTF-8"}
    )
    return answer.status_code


async def test_a_send_event_settles_a_message_whose_outcome_nobody_knew(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    assert await tell(api.client, signer.notification(event("Send", sent))) == 204
    found = await message(db, sent)
    assert (found.status, found.provider_id, found.delivery) == ("sent", "0100019-ses", "accepted")


async def test_a_click_reaches_the_run_without_the_links_query(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    click = event("Click", sent, link=f"https://acme.test/start?email={EMAIL}#top", linkTags={"cta": ["top"]})
    assert await tell(api.client, signer.notification(click)) == 204
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
    once = signer.notification(event("Click", sent, link="https://acme.test/"))
    for notification in (once, once, signer.notification(event("Click", sent, link="https://acme.test/"))):
        assert await tell(api.client, notification) == 204
    assert len(await rows(db, "SELECT 1 FROM event WHERE name = 'email.clicked'")) == 2


async def test_a_delivery_told_by_two_notifications_counts_once(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    for _ in range(2):
        await tell(api.client, signer.notification(event("Delivery", sent)))
    assert len(await rows(db, "SELECT 1 FROM event WHERE name = 'email.delivered'")) == 1


@pytest.mark.parametrize(("kind", "suppressed"), [("Permanent", True), ("Transient", False)])
async def test_an_address_that_bounces_for_good_is_not_written_to_again(
    api: Api, db: Database, signer: Signer, kind: str, suppressed: bool
) -> None:
    sent = await sending(api, db, "email")
    bounce = event(
        "Bounce", sent, bounceType=kind, bounceSubType="General", bouncedRecipients=[{"emailAddress": EMAIL}]
    )
    assert await tell(api.client, signer.notification(bounce)) == 204
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "email", EMAIL)
    assert (found is not None) is suppressed
    assert (await message(db, sent)).delivery == "bounced"
    assert await rows(db, "SELECT name FROM event") == [("email.bounced",)]


async def test_a_complaint_suppresses(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    complaint = event("Complaint", sent, complainedRecipients=[{"emailAddress": EMAIL}], complaintFeedbackType="abuse")
    assert await tell(api.client, signer.notification(complaint)) == 204
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "email", EMAIL.upper())
    assert found is not None
    assert found.reason == "complained"


async def test_a_forged_notification_changes_nothing(api: Api, db: Database, signer: Signer) -> None:
    sent = await sending(api, db, "email")
    good = signer.notification(event("Send", sent))
    forged = [
        Signer().notification(event("Send", sent)),
        good | {"Message": good["Message"].replace("Send", "Bounce")},
        good | {"SigningCertURL": "https://evil.test/cert.pem"},
        {name: value for name, value in good.items() if name != "Signature"},
        {},
    ]
    for notification in forged:
        assert await tell(api.client, notification) == 403
    assert (await message(db, sent)).status == "sending"
    assert await rows(db, "SELECT 1 FROM event") == []


async def test_a_subscription_confirms_itself(anyone: httpx.AsyncClient, signer: Signer) -> None:
    signer.visited.clear()
    assert await tell(anyone, signer.confirmation()) == 204
    assert any("ConfirmSubscription" in url for url in signer.visited)


async def test_a_subscription_to_another_host_is_refused(anyone: httpx.AsyncClient, signer: Signer) -> None:
    signer.visited.clear()
    assert await tell(anyone, signer.confirmation(SubscribeURL="https://evil.test/?Action=ConfirmSubscription")) == 403
    assert not any("ConfirmSubscription" in url for url in signer.visited)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"notificationType": "AmazonSnsSubscriptionSucceeded"},
        event("Send", "not-an-id"),
        event("Send", "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"),
        event("Subscription", "x"),
        {"eventType": "Send", "mail": {"tags": {"perennial-message": "x"}}},
    ],
)
async def test_what_is_not_about_a_message_of_ours_is_answered_well(
    anyone: httpx.AsyncClient, db: Database, signer: Signer, said: dict[str, Any]
) -> None:
    assert await tell(anyone, signer.notification(said)) == 204
    assert await rows(db, "SELECT 1 FROM event") == []


async def test_text_that_is_no_event_is_answered_well(anyone: httpx.AsyncClient, signer: Signer) -> None:
    message = signer.sign({"Type": "Notification", "Message": "Successfully validated SNS topic"}, "1")
    assert await tell(anyone, message) == 204


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(["Send", "Delivery", "Bounce", "Complaint", "Open", "Click", "Reject", "DeliveryDelay"]),
    st.dictionaries(
        st.sampled_from(["link", "linkTags", "bounceType", "bouncedRecipients", "complainedRecipients", "timestamp"]),
        json_values,
    ),
)
def test_no_detail_breaks_the_reading(kind: str, detail: dict[str, Any]) -> None:
    found = ses_events.read(event(kind, "m-1", **detail))
    assert found is not None
    assert found.at.tzinfo is not None
