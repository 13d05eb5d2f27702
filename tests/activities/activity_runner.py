"""Helpers of the activities' tests to set up, act and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities import contract
from activities.contract import EffectResult, ReconcileCall, SendResult, StepCall
from activities.registry import Activities, build_activities
from settings import Settings
from store.engine.database import Database
from store.people import erasure
from store.published import templates
from store.schema.rows import Channel, Enrollment
from store.sending.messages import message_lists
from store.sending.messages.messages import Message
from tests.store.store_calls import StoreCalls, compiled
from tests.support.sandbox import Sandbox
from tracks.content.templates.template import Template, parse_template
from tracks.runs.run_interface import PathEntry

HELLO = """---
kind: email
subject: 'Hello {{ contact.attributes.first_name | default: "there" }}'
variables:
  cta: {default: Start}
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Dear {{ contact.attributes.first_name }}, {{ cta }}. <a href="{{ unsubscribe_url }}">No more</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
NUDGE = "---\nkind: sms\n---\nHi {{ contact.attributes.first_name }}, still there?"
TRACK = """
track: welcome
defaults:
  email: {from: 'Ada Löve <ada@acme.test>', reply_to: help@acme.test}
  sms: {from: '+15005550006'}
steps:
  - id: hello
    email: {template: hello, variables: {cta: 'Go on, {{ contact.id }}'}}
  - id: receipt
    email: {template: hello, subject: 'Receipt {{ enrollment.properties.order }}', transactional: true}
  - id: nudge
    sms: {template: nudge}
  - id: inline
    sms: {text: 'Hello {{ contact.attributes.first_name }}'}
"""
SCHEDULED = datetime(2026, 3, 2, 9, 0, 0, 123000, tzinfo=UTC)
"""The scheduled time of every activity, in all its attempts."""
NAME = "Zebulon Quagmire"
CHANNELS = pytest.mark.parametrize(
    ("step", "provider", "channel"), [("hello", "ses", "email"), ("nudge", "twilio", "sms")]
)
"""Both channels: a step of `TRACK`, its provider, its channel."""


@cache
def _parsed(source: str) -> Template:
    """Every test publishes the same two templates."""
    return parse_template(source)


class SandboxProviders:
    """The sandbox as tests use it: order faults, read accepted messages."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._http = httpx.Client(base_url=sandbox.url, timeout=15)

    def __enter__(self) -> SandboxProviders:
        self._http.post("/_control/identities", json={"identity": "acme.test"}).raise_for_status()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.delete("/_control/faults").raise_for_status()
        self._http.close()

    def settings(self, **more: Any) -> Settings:
        given: dict[str, Any] = {
            "secret": SecretStr("s" * 40),
            "public_url": self.sandbox.callback_base,
            "ses_endpoint_url": self.sandbox.url,
            "twilio_base_url": self.sandbox.url,
            "twilio_account_sid": "AC" + "0" * 32,
            "twilio_auth_token": SecretStr(self.sandbox.twilio_auth_token),
            "hubspot_base_url": self.sandbox.url,
            "hubspot_token": SecretStr("pat-sandbox"),
            "webhook_secret": SecretStr("whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQ="),
            "provider_timeout": 0.6,
            "concurrent_sends": 4,
        }
        return Settings(**(given | more))

    def fault(self, provider: str, kind: str, **more: Any) -> None:
        """Make the next calls of a provider fail."""
        self._http.post("/_control/faults", json={"provider": provider, "kind": kind, **more}).raise_for_status()

    def accepted(self, to: str, channel: str | None = None) -> list[dict[str, Any]]:
        """The messages that the provider accepted for an address, oldest first, with their bodies."""
        query = {"to": to, "body": "1"} | ({"channel": channel} if channel else {})
        answer = self._http.get("/_control/messages", params=query).raise_for_status().json()
        found: list[dict[str, Any]] = answer["messages"]
        return found

    def in_hubspot(self, action: str, **more: Any) -> str:
        """What a salesperson does in HubSpot; returns the object's id."""
        answer = self._http.post("/_control/hubspot", json={"action": action, **more}).raise_for_status()
        return str(answer.json()["id"])

    def crm(self) -> dict[str, Any]:
        """All of HubSpot's objects."""
        found: dict[str, Any] = self._http.get("/_control/crm").raise_for_status().json()
        return found


class ActivityRunner:
    """One contact in one track, and calls of the activities that act on them."""

    def __init__(self, db: Database, activities: Activities, providers: SandboxProviders) -> None:
        self.db = db
        self.store = StoreCalls(db)
        self.activities = activities
        self.providers = providers
        unique = uuid4().hex[:12]
        self.contact = f"c-{unique}"
        self.email = f"zeb.{unique}@quagmire.test"
        self.phone = f"+1555{int(unique, 16) % 10**7:07d}"
        self.enrollment: Enrollment

    async def rebuild(self, **settings: Any) -> None:
        """Build the activities again with other settings."""
        await self.activities.close()
        self.activities = build_activities(self.providers.settings(**settings), self.db)

    async def begin(self) -> None:
        await self.template("hello", HELLO)
        await self.template("nudge", NUDGE)
        await self.store.contact(
            self.contact, email=self.email, phone=self.phone, attributes={"first_name": NAME}, timezone="Europe/Berlin"
        )
        await self.enroll(TRACK)

    async def enroll(self, document: str, **more: Any) -> Enrollment:
        """Publish a track and enrol the contact."""
        await self.store.publish(document)
        name = compiled(document)[0].track
        properties = {"properties": {"order": "A-17"}, "now": datetime.now(UTC)} | more
        self.enrollment = await self.store.enrolled(name, self.contact, **properties)
        return self.enrollment

    async def template(self, name: str, source: str, variants: Mapping[str, str] | None = None) -> None:
        parsed = _parsed(source) if variants is None else parse_template(source, variants)
        async with self.db.transaction() as tx:
            await templates.publish(tx, name, parsed.kind, source, parsed.model_dump(mode="json"))

    def call(self, step: str, occurrence: int = 1, *path: PathEntry) -> StepCall:
        enrollment = self.enrollment
        return StepCall(
            enrollment_id=enrollment.id,
            step=step,
            occurrence=occurrence,
            clock=enrollment.clock,
            path=path,
            track=enrollment.track,
            version=enrollment.version,
        )

    async def erase(self) -> None:
        async with self.db.transaction() as tx:
            await erasure.erase(tx, self.contact)

    async def send(self, step: str = "hello", occurrence: int = 1, *, attempt: int = 1) -> SendResult:
        """Run the send activity of a step."""
        name, queue = (
            (contract.SEND_EMAIL, contract.QUEUE_EMAIL)
            if step in ("hello", "receipt")
            else (contract.SEND_SMS, contract.QUEUE_SMS)
        )
        result: SendResult = await self.run(queue, name, self.call(step, occurrence), attempt=attempt)
        return result

    async def reconcile(self, result: SendResult, settle: Any = "") -> SendResult:
        call = ReconcileCall(message_id=result.message_id, settle=settle)
        answer: SendResult = await self.run(contract.QUEUE_SMS, contract.RECONCILE_MESSAGE, call)
        return answer

    async def act(self, queue: str, name: str, step: str, *, attempt: int = 1) -> EffectResult:
        result: EffectResult = await self.run(queue, name, self.call(step), attempt=attempt)
        return result

    async def local(self, name: str, argument: Any) -> Any:
        return await self._run(self.activities.local, name, argument, 1)

    async def run(self, queue: str, name: str, argument: Any, *, attempt: int = 1) -> Any:
        return await self._run(self.activities.by_queue[queue], name, argument, attempt)

    async def message(self, channel: Channel = "email") -> Message:
        """The one message of that channel in the ledger."""
        async with self.db.transaction() as tx:
            listed = await message_lists.of_enrollment(tx, self.enrollment.id)
            found = [one.message for one in listed if one.message.channel == channel]
        assert len(found) == 1, found
        return found[0]

    @staticmethod
    async def _run(methods: Any, name: str, argument: Any, attempt: int) -> Any:
        (method,) = [m for m in methods if m.__name__ == name]
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            ActivityEnvironment.default_info(), attempt=attempt, scheduled_time=SCHEDULED
        )
        return await environment.run(method, argument)
