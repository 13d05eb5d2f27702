"""The provider sandbox calls the API back as Amazon and Twilio do: signed, over a real connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from pydantic import SecretStr

from activities.providers.hubspot import HubSpotCrm
from activities.providers.ports import CrmChange, CrmContact, CrmTask
from api.app import create_app
from infra.sandbox.core.options import Options
from settings import Settings
from store.engine.database import Database
from store.people.consents import suppressions
from store.people.hubspot import own_writes
from store.people.hubspot.hubspot_change import Properties
from store.people.hubspot.own_writes import Written
from tests.api.client import Api
from tests.api.messages import EMAIL, PHONE, message, rows, sending
from tests.api.server import serve
from tests.support.sandbox import Sandbox
from tracks.shared.link_tokens import unsubscribe_url


@pytest.fixture
async def called_back(settings: Settings, db: Database, sandbox: Sandbox) -> AsyncIterator[Settings]:
    """The API at the address that the sandbox calls back."""
    here = settings.model_copy(
        update={
            "public_url": sandbox.callback_base,
            "sns_certificate_url": sandbox.url,
            "twilio_auth_token": SecretStr(sandbox.twilio_auth_token),
            "stripe_webhook_secret": SecretStr(Options.stripe_webhook_secret),
            "hubspot_client_secret": SecretStr(Options.hubspot_client_secret),
        }
    )
    async with serve(create_app(here, db), sandbox.callback_port):
        yield here


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 20
    while not await what():
        assert time.monotonic() < deadline, "nobody called back"
        await asyncio.sleep(0.05)


def email(sandbox: Sandbox, message_id: str, link: str, to: str = EMAIL) -> str:
    """Send with the real client and the tags of the email activity. Returns the sandbox's id."""
    ses = boto3.client(
        "sesv2",
        endpoint_url=sandbox.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    body = {"Html": {"Data": f'<a href="https://acme.test/start?x=1">Start</a> <a href="{link}">Leave</a>'}}
    headers = [
        {"Name": "List-Unsubscribe", "Value": f"<{link}>"},
        {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
    ]
    answer = ses.send_email(
        FromEmailAddress="ada@acme.test",
        Destination={"ToAddresses": [to]},
        Content={"Simple": {"Subject": {"Data": "Hello"}, "Body": body, "Headers": headers}},
        EmailTags=[{"Name": "perennial-message", "Value": message_id}],
        ConfigurationSetName="perennial",
    )
    ses.close()
    return str(answer["MessageId"])


async def texted(sandbox: Sandbox, called_back: Settings, message_id: str, to: str = PHONE) -> str:
    """Send as Twilio's client does. Returns the sandbox's id."""
    form = {
        "To": to,
        "From": "+15005550006",
        "Body": "Still interested?",
        "StatusCallback": f"{called_back.public_url}/webhooks/twilio/status/{message_id}",
    }
    account = "AC" + "0" * 32
    async with httpx.AsyncClient(trust_env=False, auth=(account, sandbox.twilio_auth_token)) as client:
        made = await client.post(f"{sandbox.url}/2010-04-01/Accounts/{account}/Messages.json", data=form)
    assert made.status_code == 201
    return str(made.json()["sid"])


async def control(sandbox: Sandbox, what: str, **data: Any) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{sandbox.url}/_control/{what}", json=data)).raise_for_status()


async def test_an_emails_fate_comes_back(api: Api, db: Database, sandbox: Sandbox, called_back: Settings) -> None:
    sent = await sending(api, db, "email")
    link = unsubscribe_url(called_back.public_url, called_back.secret.get_secret_value(), sent)
    await control(sandbox, "identities", identity="acme.test")
    provider_id = await asyncio.to_thread(email, sandbox, sent, link)

    async def delivered() -> bool:
        return (await message(db, sent)).delivery == "delivered"

    await until(delivered)
    found = await message(db, sent)
    assert (found.status, found.provider_id) == ("sent", provider_id)

    await control(sandbox, "actions", message=provider_id, action="click")
    await control(sandbox, "actions", message=provider_id, action="unsubscribe")

    async def told() -> bool:
        return {("email.clicked",), ("contact.unsubscribed",)} <= set(await rows(db, "SELECT name FROM event"))

    await until(told)
    async with db.transaction() as tx:
        assert await suppressions.find(tx, "email", EMAIL) is not None


async def test_what_comes_back_in_the_older_format_finds_its_message(
    api: Api, db: Database, sandbox: Sandbox, called_back: Settings
) -> None:
    to = "grace@example.com"  # the sandbox's account suppresses it too
    sent = await sending(api, db, "email", to=to)
    await control(sandbox, "identities", identity="acme.test")
    provider_id = await asyncio.to_thread(email, sandbox, sent, "https://acme.test/leave", to)

    async def reason() -> str:
        return (await message(db, sent)).delivery_reason

    for action, more, wanted in (
        ("delay", {"delay_type": "MailboxFull"}, ""),  # it has been delivered by then
        ("bounce", {"bounce_type": "Transient", "sub_type": "MailboxFull"}, ""),
        ("bounce", {"sub_type": "NoEmail", "format": "notification"}, "bounce-permanent-noemail"),
        ("complain", {"feedback": "fraud", "format": "notification"}, "complaint-fraud"),
    ):
        await control(sandbox, "actions", message=provider_id, action=action, **more)

        async def come(wanted: str = wanted) -> bool:
            return await reason() == wanted

        await until(come)
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "email", to)
    assert found is not None and found.reason == "complained"


async def test_a_text_messages_fate_and_its_reply_come_back(
    api: Api, db: Database, sandbox: Sandbox, called_back: Settings
) -> None:
    sent = await sending(api, db, "sms")
    sid = await texted(sandbox, called_back, sent)

    async def delivered() -> bool:
        return (await message(db, sent)).delivery == "delivered"

    await until(delivered)
    assert (await message(db, sent)).provider_id == sid
    await control(sandbox, "actions", message=sid, action="reply", text="STOP")

    async def stopped() -> bool:
        return {("sms.replied",), ("contact.unsubscribed",)} <= set(await rows(db, "SELECT name FROM event"))

    await until(stopped)


async def test_a_landline_is_not_texted_again(api: Api, db: Database, sandbox: Sandbox, called_back: Settings) -> None:
    to = "+41446681811"
    sent = await sending(api, db, "sms", to=to)
    await control(sandbox, "faults", provider="twilio", kind="undelivered", error_code=30006, match=to)
    await texted(sandbox, called_back, sent, to)

    async def failed() -> bool:
        return (await message(db, sent)).delivery_reason == "landline: twilio-30006"

    await until(failed)
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "sms", to)
    assert found is not None and found.reason == "bounced"


async def test_a_payment_that_fails_and_recovers_comes_back_from_stripe(
    api: Api, db: Database, sandbox: Sandbox, called_back: Settings
) -> None:
    await api.contact("payer-1", email="payer@example.com")

    async def act(action: str, **more: Any) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{sandbox.url}/_control/stripe", json={"action": action, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    customer = await act("customer", email="payer@example.com")
    subscription = await act("subscribe", customer=customer, plan="team", amount=9900, backwards=True)
    for action, status in (("fail", "past_due"), ("recover", "active")):
        await act(action, subscription=subscription, backwards=True)

        async def come(status: str = status) -> bool:
            attributes = (await api.get("/v1/contacts/payer-1")).json()["attributes"]
            return bool(attributes.get("subscription_status") == status)

        await until(come)
    names = {"stripe.subscription_started", "stripe.payment_failed", "stripe.invoice_paid"}

    async def told() -> bool:
        return names <= {str(name) for (name,) in await rows(db, "SELECT name FROM event")}

    await until(told)
    found = (await api.get("/v1/contacts/payer-1")).json()["attributes"]
    assert (found["plan"], found["mrr"], found["mrr_currency"]) == ("team", 9900, "usd")


async def test_what_a_person_changes_in_hubspot_comes_back_and_what_a_step_wrote_does_not(
    api: Api, db: Database, sandbox: Sandbox, called_back: Settings
) -> None:
    await api.contact("lead-1", email="lead@example.com")
    published = await api.publish(
        "track: taken\nentry: {event: crm.task_completed}\nsteps:\n  - id: rest\n    wait: 5d\n"
    )
    assert published.status_code == 201, published.text
    crm = HubSpotCrm(token="t", base_url=sandbox.url)
    change = CrmChange("run/hot/1", datetime.now(UTC), stage="lead", task=CrmTask("Call"))
    written = await crm.apply(CrmContact("lead-1", "lead@example.com", None), change, again=False)
    await crm.close()
    properties = Properties(called_back.hubspot_attributes, called_back.hubspot_id_property)
    noted = Written(written.contact_key, written.at, written.properties, written.task_key)
    async with db.transaction() as tx:
        await own_writes.record(tx, "lead-1", change.effect_key, noted, properties)

    await control(sandbox, "hubspot", action="change", contact="lead@example.com", properties={"lifecyclestage": "sql"})
    await control(sandbox, "hubspot", action="complete", task=written.task_key)

    async def told() -> bool:
        return len(await rows(db, "SELECT 1 FROM event WHERE name LIKE 'crm.%'")) >= 2

    await until(told)
    assert (await api.get("/v1/contacts/lead-1")).json()["attributes"] == {"crm_stage": "sql"}
    events: list[Any] = await rows(db, "SELECT name, properties FROM event WHERE name LIKE 'crm.%'")
    found = dict(events)
    assert found["crm.stage_changed"] == {"from": "lead", "to": "sql", "source": "hubspot"}
    assert (found["crm.task_completed"]["step"], found["crm.task_completed"]["outcome"]) == ("hot", "done")
    assert await rows(db, "SELECT track FROM enrollment") == [("taken",)]

    await control(sandbox, "hubspot", action="erase", contact="lead@example.com")

    async def erased() -> bool:
        return (await api.get("/v1/contacts/lead-1")).status_code == 404

    await until(erased)
