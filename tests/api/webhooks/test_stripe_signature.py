"""Only what Stripe signed in the last five minutes, with one of our secrets, is taken."""

from __future__ import annotations

import json

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.feedback import stripe_signature
from settings import Settings
from store.engine.database import Database
from tests.api.client import Api
from tests.api.conftest import STRIPE_SECRET
from tests.api.messages import rows
from tests.api.stripe_calls import BEGAN, Account, counted, post, signature


@pytest.mark.parametrize("age", [0, 290])
async def test_a_signature_of_the_last_five_minutes_is_valid(api: Api, age: float) -> None:
    assert (await post(api.client, Account().billing.customer(BEGAN) | {"type": "x"}, age=age)).status_code == 204


async def test_what_stripe_did_not_sign_or_signed_long_ago_is_refused(api: Api, db: Database, app: FastAPI) -> None:
    account = Account()
    account.subscriber(contact_id="user-1")
    body = json.dumps(account.events[0])
    good = signature(body)
    wrong = {
        "another secret": signature(body, "whsec_other"),
        "replayed": signature(body, age=301),
        "another time": good.replace("t=", "t=1"),
        "another scheme": good.replace("v1=", "v0="),
        "nothing": "",
        "no form": "v1",
        "not ASCII": good + "é",
        "a long time": f"t={'9' * 5000},v1=00",
    }
    for why, header in wrong.items():
        answer = await api.client.post(
            "/webhooks/stripe",
            content=body,
            headers={b"Stripe-Signature": header.encode("latin-1")},
        )
        assert answer.status_code == 403, why
    for altered in (body[:-2] + " " + body[-2:], body.replace("customer", "custimer", 1), "\xff"):
        content = altered.encode("latin-1")
        answer = await api.client.post("/webhooks/stripe", content=content, headers={"Stripe-Signature": good})
        assert answer.status_code == 403
    assert (await api.client.post("/webhooks/stripe", content=body)).status_code == 403
    assert await rows(db, "SELECT 1 FROM stripe_customer") == []
    assert counted(app, "forged") == len(wrong) + 4


async def test_a_secret_may_be_changed_while_both_are_named(settings: Settings, db: Database) -> None:
    both = settings.model_copy(update={"stripe_webhook_secret": SecretStr(f"whsec_new, {STRIPE_SECRET}")})
    transport = httpx.ASGITransport(create_app(both, db))
    async with httpx.AsyncClient(transport=transport, base_url="https://nurture.acme.test") as client:
        event = Account().billing.customer(BEGAN) | {"type": "x"}
        given = [
            (await post(client, event, secret=secret)).status_code for secret in ("whsec_new", STRIPE_SECRET, "whsec_x")
        ]
    assert given == [204, 204, 403]


@pytest.mark.parametrize(
    ("secret", "installed", "said"),
    [("", True, "PERENNIAL_STRIPE_WEBHOOK_SECRET is not set"), (STRIPE_SECRET, False, "pip install '.[stripe]'")],
)
async def test_without_the_secret_or_the_library_the_answer_says_what_is_missing(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch, secret: str, installed: bool, said: str
) -> None:
    monkeypatch.setattr(Settings, "stripe_installed", installed)
    chosen = settings.model_copy(update={"stripe_webhook_secret": SecretStr(secret)})
    transport = httpx.ASGITransport(create_app(chosen, db))
    async with httpx.AsyncClient(transport=transport, base_url="https://nurture.acme.test") as client:
        answer = await post(client, {"id": "evt_1"})
    assert answer.status_code == 403 and said in answer.json()["detail"]


async def test_the_library_is_not_imported_before_stripe_calls(settings: Settings, db: Database) -> None:
    stripe_signature._library.cache_clear()
    app = create_app(settings, db)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://nurture.acme.test") as client:
        assert (await client.post("/webhooks/stripe", content="{}")).status_code == 403
        assert stripe_signature._library.cache_info().currsize == 0
        await post(client, {"id": "evt_1"})
    assert stripe_signature._library.cache_info().currsize == 1
