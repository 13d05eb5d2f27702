"""Calls as Twilio makes them, and their effects."""

from __future__ import annotations

import httpx
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from store.engine.database import Database
from store.people.consents import suppressions
from tests.api.conftest import TWILIO_TOKEN
from tests.api.messages import PHONE

PUBLIC = "https://nurture.acme.test"


async def call(
    client: httpx.AsyncClient, path: str, form: dict[str, str], *, token: str = TWILIO_TOKEN, url: str | None = None
) -> httpx.Response:
    """Call as Twilio does: signed over the public address and the form."""
    signature = RequestValidator(token).compute_signature(url or PUBLIC + path, form)
    return await client.post(path, data=form, headers={"X-Twilio-Signature": signature})


def sid(number: int) -> str:
    """A message id in Twilio's format."""
    return f"SM{number:032x}"


def status(stage: str, **more: str) -> dict[str, str]:
    return {"MessageSid": sid(1), "MessageStatus": stage, "AccountSid": "AC1", "To": PHONE} | more


def reply(body: str, **more: str) -> dict[str, str]:
    return {"MessageSid": sid(9), "From": PHONE, "To": "+15005550006", "Body": body} | more


def refused(app: FastAPI, reason: str) -> float:
    """How often a call of Twilio was rejected for this reason."""
    found = app.state.context.metrics.registry.get_sample_value(
        "perennial_rejected_total", {"source": "twilio", "reason": reason}
    )
    return float(found or 0)


async def suppressed(db: Database, phone: str = PHONE) -> str | None:
    """Why the number is suppressed."""
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "sms", phone)
    return found.reason if found else None
