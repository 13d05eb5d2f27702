"""Calls as HubSpot makes them."""

from __future__ import annotations

import json
import time
from itertools import count
from typing import Any

import httpx
from fastapi import FastAPI
from hubspot.utils.signature import Signature

from tests.api.conftest import HUBSPOT_SECRET

URL = "https://nurture.acme.test/webhooks/hubspot"
BEGAN = int(time.time() - 3600) * 1000
"""When the events begin, in milliseconds: an hour ago."""
APP = 54321
_NUMBERS = count(1)


def event(kind: str, object_id: int = 101, **more: Any) -> dict[str, Any]:
    """An event with a number of its own, a second after the one before."""
    number = next(_NUMBERS)
    return {
        "eventId": number,
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": APP,
        "occurredAt": BEGAN + number * 1000,
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": object_id,
        "changeSource": "CRM_UI",
        "sourceId": "userId:7",
    } | more


def change(name: str, value: str, object_id: int = 101, **more: Any) -> dict[str, Any]:
    """A property of a contact that a person changed."""
    return event("contact.propertyChange", object_id, propertyName=name, propertyValue=value, **more)


def completed(task_id: int) -> dict[str, Any]:
    """A task that a person completed."""
    status = {"objectTypeId": "0-27", "propertyName": "hs_task_status", "propertyValue": "COMPLETED"}
    return event("object.propertyChange", task_id, **status)


def signed(body: str, *, secret: str = HUBSPOT_SECRET, age: float = 0, url: str = URL) -> dict[str, str]:
    """The headers with which HubSpot's own library signs, so many seconds ago."""
    at = str(int((time.time() - age) * 1000))
    signature = Signature.get_signature(secret, body, "v3", url, "POST", at)
    return {"X-HubSpot-Signature-v3": str(signature), "X-HubSpot-Request-Timestamp": at}


async def post(client: httpx.AsyncClient, *events: dict[str, Any], **how: Any) -> httpx.Response:
    """Call as HubSpot does."""
    body = json.dumps(events)
    return await client.post(how.get("url", URL), content=body, headers=signed(body, **how))


def counted(app: FastAPI, reason: str) -> float:
    """How many of HubSpot's events were not used as they came, for this reason."""
    found = app.state.context.metrics.registry.get_sample_value(
        "perennial_rejected_total", {"source": "hubspot", "reason": reason}
    )
    return float(found or 0)
