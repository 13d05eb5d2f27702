"""Helpers of the page tests: publish, enrol, and query the API for a contact's position."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from infra.launch.stack import Addresses
from tests.api.client import Api

PATIENCE = 20.0  # seconds; on an idle machine every wait here takes far less than one

MAIL = """---
kind: email
subject: '{{ subject }}, {{ contact.attributes.first_name | default: "you" }}'
preheader: Three things to try first
variables:
  subject: {required: true}
  guide: {required: true}
---
<mjml><mj-body><mj-section><mj-column>
  <mj-text>Good to have you, {{ contact.attributes.first_name | default: "you" }}.</mj-text>
  <mj-button href="{{ guide }}">Read the guide</mj-button>
  <mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""

MAILS = """track: tour-mails
description: Shows newcomers around.
owner: growth
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: hello, email: {template: tour-mail, variables: {subject: Welcome, guide: '%(guide)s'}}}
  - {id: clicked, wait_for: {event: email.clicked, within: 3d, then: [], else: []}}
  - {id: more, email: {template: tour-mail, variables: {subject: One more thing, guide: '%(guide)s'}}}
  - {id: later, wait: 30d}
"""

TEXTS = """track: tour-texts
defaults: {sms: {from: '+15005550006'}}
steps:
  - {id: ask, sms: {text: 'Shall we call, {{ contact.attributes.first_name | default: "you" }}? Answer YES or STOP.'}}
  - {id: answered, wait_for: {event: sms.replied, within: 3d, then: [], else: []}}
  - {id: thanks, sms: {text: 'Thank you. Until tomorrow!'}}
  - {id: later, wait: 30d}
"""


@dataclass(frozen=True)
class Person:
    """A contact on a track."""

    id: str
    first_name: str
    email: str
    phone: str
    enrollment: str


def step(shown: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The entry of a step in an enrolment's path, or None."""
    return next((entry for entry in shown["path"] if entry["step"] == name), None)


class ApiCalls:
    """A caller of the API with a key, and of the sandbox's record of messages."""

    def __init__(self, stack: Addresses, api: Api, client: httpx.AsyncClient) -> None:
        self.stack = stack
        self.api = api
        self.client = client
        self._people = 0

    async def publish(self) -> None:
        """Publish the two tracks that the pages are shown with."""
        # The link's target is on this machine, because the tests must not call other hosts. It is no page of
        # Perennial, because those are not tracked.
        for answer in (
            await self.api.template("tour-mail", MAIL),
            await self.api.publish(MAILS % {"guide": f"{self.stack.sandbox}/healthz"}),
            await self.api.publish(TEXTS),
        ):
            assert answer.status_code == 201, answer.text

    async def enroll(self, track: str, first_name: str, *, email: str | None = None) -> Person:
        """A new contact enters the track."""
        self._people += 1
        own = uuid.uuid4().hex[:8]
        email = email or f"{first_name.lower()}-{own}@people.test"
        phone = f"+1415{uuid.uuid4().int % 10_000_000:07d}"
        person_id = f"person-{own}"
        met = await self.api.contact(
            person_id, email=email, phone=phone, timezone="Europe/Berlin", attributes={"first_name": first_name}
        )
        assert met.status_code == 201, met.text
        entered = await self.api.enroll(person_id, track)
        assert entered.status_code == 201, entered.text
        return Person(person_id, first_name, email, phone, entered.json()["id"])

    async def journey(self, person: Person) -> dict[str, Any]:
        """The enrolment as GET /v1/enrollments/{id} shows it."""
        answer = await self.api.get(f"/v1/enrollments/{person.enrollment}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def until(self, person: Person, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the enrolment satisfies `fits`, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not fits(shown := await self.journey(person)):
            assert time.monotonic() < deadline, f"still {shown}"
            await asyncio.sleep(0.1)
        return shown

    async def waits_at(self, person: Person, name: str) -> dict[str, Any]:
        """Wait until the enrolment waits at that step, and return it."""
        return await self.until(person, lambda shown: (shown["step"], shown.get("state")) == (name, "waiting"))

    async def messages(self, address: str) -> list[dict[str, Any]]:
        """Messages that the sandbox accepted for that address, oldest first. Waits for the first."""
        answer = await self.client.get(
            f"{self.stack.sandbox}/_control/messages", params={"to": address, "wait": PATIENCE}
        )
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found
