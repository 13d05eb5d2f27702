"""The webhooks that HubSpot sends of a portal's changes, signed by its version 3, and what salespeople do there.

https://developers.hubspot.com/docs/api-reference/legacy/webhooks/guide
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.sandbox.core.callbacks import Callbacks, Outgoing
from infra.sandbox.core.options import Options
from infra.sandbox.hubspot.objects import HubSpotStore, Properties, Source

SUBSCRIBED = {
    "contacts": ("email", "lifecyclestage", "hs_lead_status", "perennial_contact_id"),
    "tasks": ("perennial_outcome", "hs_task_status"),
}
"""The properties whose changes are sent."""
APP, PORTAL = 54321, 62515
PERSON = Source("CRM_UI", "userId:1001")
_NUMBERS = {"contacts": "0-1", "tasks": "0-27"}
_SUBSCRIPTION = {"propertyChange": 1, "deletion": 2, "privacyDeletion": 3, "merge": 4}


class HubSpotWebhooks:
    """Sends an event for each change that is subscribed to: those of people, and those of the API as an integration's.

    The events of one change are one batch.
    """

    def __init__(self, options: Options, store: HubSpotStore, callbacks: Callbacks) -> None:
        self._options = options
        self._store = store
        self._callbacks = callbacks
        self._last = 0
        callbacks.builder("hubspot", self._build)
        store.watch(self._changed)

    def routes(self) -> list[Route]:
        """The control interface: what a salesperson does."""
        return [Route("/_control/hubspot", self._act, methods=["POST"])]

    async def _act(self, request: Request) -> Response:
        """What a person does in HubSpot: {action, contact?, task?, properties?, into?, outcome?}.

        - `create`: {properties}; `change`: {contact, properties}
        - `complete`: {task}, and {outcome} to say what came of it
        - `delete`, `erase` (a privacy deletion): {contact}
        - `merge`: {contact, into}

        A contact is named by its id or its email address. The answer has the object's id.
        """
        try:
            given = json.loads(await request.body())
            return JSONResponse({"id": self._perform(str(given["action"]), given)})
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return JSONResponse({"error": f"{type(problem).__name__}: {problem}"}, 422)

    def _perform(self, action: str, given: dict[str, Any]) -> str:
        if action == "create":
            return self._store.create("contacts", _written(given["properties"]), PERSON)
        if action == "complete":
            key = str(given["task"])
            if self._store.get("tasks", key) is None:
                raise ValueError(f"there is no task {key}")
            said = {"perennial_outcome": str(given["outcome"])} if given.get("outcome") else {}
            self._store.write("tasks", key, {**said, "hs_task_status": "COMPLETED"}, PERSON)
            return key
        key = self._contact(given["contact"])
        match action:
            case "change":
                self._store.write("contacts", key, _written(given["properties"]), PERSON)
            case "delete" | "erase":
                self._store.archive("contacts", key)
                self._send([self._event("deletion" if action == "delete" else "privacyDeletion", key, PERSON)])
            case "merge":
                into = self._contact(given["into"])
                self._store.archive("contacts", key)
                merged = {"primaryObjectId": int(into), "mergedObjectIds": [int(key)], "newObjectId": None}
                self._send([self._event("merge", into, PERSON, **merged)])
                return into
            case _:
                raise ValueError(f"there is no action {action}")
        return key

    def _contact(self, named: Any) -> str:
        key = self._store.find("contacts", "email" if "@" in str(named) else "hs_object_id", str(named))
        if key is None:
            raise ValueError(f"there is no contact {named}")
        return key

    def _changed(self, type_: str, key: str, before: Properties, properties: Properties, source: Source) -> None:
        wanted = [
            name
            for name, value in properties.items()
            if name in SUBSCRIBED.get(type_, ()) and (value or None) != (before.get(name) or None)
        ]
        events = []
        for name in wanted:
            changed = {"propertyName": name, "propertyValue": properties[name] or ""}
            if type_ == "contacts":
                events.append(self._event("propertyChange", key, source, **changed))
            else:
                generic = {"subscriptionType": "object.propertyChange", "objectTypeId": _NUMBERS[type_]}
                events.append(self._event("propertyChange", key, source, **changed, **generic))
        self._send(events)

    def _event(self, what: str, key: str, source: Source, **more: Any) -> dict[str, Any]:
        self._last = max(self._last + 1, int(time.time() * 1000))
        event = {
            "eventId": uuid.uuid4().int % 2**31,
            "subscriptionId": _SUBSCRIPTION[what],
            "portalId": PORTAL,
            "appId": APP,
            "occurredAt": self._last,
            "subscriptionType": f"contact.{what}",
            "attemptNumber": 0,
            "objectId": int(key),
            "changeSource": source.kind,
            "sourceId": source.id,
        }
        return event | more

    def _send(self, events: list[dict[str, Any]]) -> None:
        if events and self._options.callback_base:
            due = time.time() + self._options.delivery_delay
            self._callbacks.add("hubspot", f"hubspot-{events[0]['objectId']}", due, {"events": events})

    def _build(self, args: dict[str, Any]) -> Outgoing | None:
        if not self._options.callback_base:
            return None
        url, body, at = f"{self._options.callback_base}/webhooks/hubspot", json.dumps(args["events"]), time.time()
        timestamp = str(int(at * 1000))
        headers = {
            "content-type": "application/json",
            "user-agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http-client)",
            "x-hubspot-signature-v3": sign(self._options.hubspot_client_secret, url, body, timestamp),
            "x-hubspot-request-timestamp": timestamp,
        }
        return Outgoing(url, headers, body.encode())


def sign(secret: str, url: str, body: str, timestamp: str) -> str:
    """The signature of a POST, version 3."""
    signed = f"POST{url}{body}{timestamp}".encode()
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def _written(properties: Any) -> Properties:
    return {str(name): None if value is None else str(value) for name, value in dict(properties).items()}
