"""The provider sandbox calls the API back as Amazon and Twilio do: signed, over a real connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from pydantic import SecretStr

from api.app import create_app
from settings import Settings
from store import suppressions
from store.database import Database
from tests.api.client import Api
from tests.api.messages import EMAIL, PHONE, message, rows, sending
from tests.api.server import serve
from tests.support.sandbox import Sandbox
from tracks.links import unsubscribe_url


@pytest.fixture
async def called_back(settings: Settings, db: Database, sandbox: Sandbox) -> AsyncIterator[Settings]:
    """The API where the sandbox calls back."""
    here = settings.model_copy(
        update={
            "public_url": sandbox.callback_base,
            "sns_certificate_url": sandbox.url,
            "twilio_auth_token": SecretStr(sandbox.twilio_auth_token),
        }
    )
    async with serve(create_app(here, db), sandbox.callback_port):
        yield here


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 20
    while not await what():
        assert time.monotonic() < deadline, "nobody called back"
        await asyncio.sleep(0.05)


def email(sandbox: Sandbox, message_id: str, link: str) -> str:
    """Send with the real client, tagged as the email activity tags; gives the sandbox's id."""
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
        Destination={"ToAddresses": [EMAIL]},
        Content={"Simple": {"Subject": {"Data": "Hello"}, "Body": body, "Headers": headers}},
        EmailTags=[{"Name": "perennial-message", "Value": message_id}],
        ConfigurationSetName="perennial",
    )
    ses.close()
    return str(answer["MessageId"])


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


async def test_a_text_messages_fate_and_its_reply_come_back(
    api: Api, db: Database, sandbox: Sandbox, called_back: Settings
) -> None:
    sent = await sending(api, db, "sms")
    form = {
        "To": PHONE,
        "From": "+15005550006",
        "Body": "Still interested?",
        "StatusCallback": f"{called_back.public_url}/webhooks/twilio/status/{sent}",
    }
    account = "AC" + "0" * 32
    async with httpx.AsyncClient(trust_env=False, auth=(account, sandbox.twilio_auth_token)) as client:
        made = await client.post(f"{sandbox.url}/2010-04-01/Accounts/{account}/Messages.json", data=form)
    assert made.status_code == 201

    async def delivered() -> bool:
        return (await message(db, sent)).delivery == "delivered"

    await until(delivered)
    assert (await message(db, sent)).provider_id == made.json()["sid"]
    await control(sandbox, "actions", message=made.json()["sid"], action="reply", text="STOP")

    async def stopped() -> bool:
        return {("sms.replied",), ("contact.unsubscribed",)} <= set(await rows(db, "SELECT name FROM event"))

    await until(stopped)
