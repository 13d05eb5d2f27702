"""A message to somebody other than the contact: their address, their protection, nothing of the contact's consents."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from activities.contract import (
    QUEUE_EMAIL,
    QUEUE_SMS,
    RECONCILE_MESSAGE,
    SEND_EMAIL,
    SEND_SMS,
    ReconcileCall,
    SendResult,
)
from store.people import contacts
from store.people.consents import suppressions
from store.published import policies
from store.schema.suppression_reasons import Reason
from tests.activities.activity_runner import NAME, ActivityRunner
from tracks.policy.workspace_policy import parse_policy

TELL = """---
kind: email
subject: 'Seats of {{ contact.attributes.first_name | default: "them" }}'
---
Seats are full.
"""
TRACK = """
track: seats
defaults:
  email: {from: 'ada@acme.test', track: {opens: true, clicks: true}}
  sms: {from: '+15005550006', track: {clicks: true}}
  sending: {unless: 'true', topic: product}
steps:
  - id: owner
    email: {template: tell-owner, to: {attribute: owner_email}}
  - id: seller
    sms: {text: 'Call {{ contact.attributes.first_name | default: "them" }}', to: {property: seller}}
  - id: not-now
    email: {template: tell-owner, to: {attribute: owner_email}, unless: contact.attributes.quiet == true}
"""
STRICT = """
topics: {product: {name: Product, opt_in: explicit}}
channels: {email: {opt_in: explicit}}
caps: [{most: 1, per: 30d}]
"""

_OPEN = text("INSERT INTO breaker (scope, state, cause, changed_at) VALUES ('track:seats', 'open', 'operator', now())")


@pytest.fixture
def owner(runner: ActivityRunner) -> str:
    return f"owner.{runner.contact}@acme.test"


async def enroll(runner: ActivityRunner, owner: Any, seller: Any = "") -> None:
    await runner.template("tell-owner", TELL)
    await runner.store.contact(
        runner.contact, email=runner.email, phone=runner.phone, attributes={"owner_email": owner}
    )
    await runner.enroll(TRACK, properties={"seller": seller})


async def send(runner: ActivityRunner, step: str = "owner", occurrence: int = 1) -> SendResult:
    queue, name = (QUEUE_SMS, SEND_SMS) if step == "seller" else (QUEUE_EMAIL, SEND_EMAIL)
    result: SendResult = await runner.run(queue, name, runner.call(step, occurrence))
    return result


async def test_it_goes_to_their_address_and_is_about_the_contact(runner: ActivityRunner, owner: str) -> None:
    await enroll(runner, owner)
    assert (await send(runner)).outcome == "sent"
    assert (await send(runner)).outcome == "sent"  # again: nothing more goes out
    (mail,) = runner.providers.accepted(owner)
    assert mail["subject"] == f"Seats of {NAME}"
    assert runner.providers.accepted(runner.email) == []
    row = await runner.message()
    assert (row.recipient, row.topic) == ("attribute owner_email", "")
    assert await runner.store.rows("SELECT 1 FROM message_links") == []
    (stored,) = await runner.store.rows("SELECT row_to_json(m)::text AS all FROM message m")
    assert owner not in stored.all


async def test_a_text_goes_to_a_property_of_the_enrolment_and_is_found_again(runner: ActivityRunner) -> None:
    seller = f"+1555{runner.phone[-7:][::-1]}"
    await enroll(runner, None, seller)
    runner.providers.fault("twilio", "drop_after", times=1)
    unknown = await send(runner, "seller")
    assert unknown.outcome == "unknown"
    found: SendResult = await runner.run(QUEUE_SMS, RECONCILE_MESSAGE, ReconcileCall(message_id=unknown.message_id))
    assert found.outcome == "sent"
    assert [sms["text"] for sms in runner.providers.accepted(seller)] == [f"Call {NAME}"]
    assert runner.providers.accepted(runner.phone) == []


@pytest.mark.parametrize("address", [None, "", "nobody", 17, ["a@b.test"], "a@b.test, c@d.test"])
async def test_what_is_no_address_is_skipped_and_never_goes_to_the_contact(
    runner: ActivityRunner, address: Any
) -> None:
    await enroll(runner, address)
    result = await send(runner)
    assert (result.outcome, result.reason) == ("skipped", "no address")
    assert runner.providers.accepted(runner.email) == []


async def test_what_the_contact_agreed_to_does_not_count(runner: ActivityRunner, owner: str) -> None:
    await enroll(runner, owner)
    async with runner.db.transaction() as tx:
        await policies.publish(tx, parse_policy(STRICT), STRICT)
        await suppressions.add(tx, "email", runner.email, "unsubscribed")
        await contacts.pause(tx, runner.contact, datetime.now(UTC) + timedelta(days=9))
    for occurrence in (1, 2):
        assert (await send(runner, occurrence=occurrence)).outcome == "sent"


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "manual"])
async def test_their_own_suppression_holds(runner: ActivityRunner, owner: str, reason: Reason) -> None:
    await enroll(runner, owner)
    async with runner.db.transaction() as tx:
        await suppressions.add(tx, "email", owner.upper(), reason)
    result = await send(runner)
    assert (result.outcome, result.reason) == ("skipped", f"suppressed: {reason}")


async def test_the_limit_on_messages_to_one_address_is_theirs(runner: ActivityRunner, owner: str) -> None:
    await enroll(runner, owner)
    source = "breaker: {address_per_hour: 2}"
    async with runner.db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)
    results = await asyncio.gather(*(send(runner, occurrence=number) for number in range(1, 6)))
    assert sorted(result.outcome for result in results) == ["deferred"] * 3 + ["sent"] * 2
    assert len(runner.providers.accepted(owner)) == 2


async def test_it_takes_no_place_under_the_caps_of_the_contact(runner: ActivityRunner, owner: str) -> None:
    await enroll(runner, owner)
    source = "caps: [{most: 1, per: 30d}]"
    async with runner.db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)
    await send(runner)
    await runner.enroll(runner_track())
    result: SendResult = await runner.run(QUEUE_EMAIL, SEND_EMAIL, runner.call("hello"))
    assert result.outcome == "sent"


async def test_a_breaker_of_its_track_holds_it(runner: ActivityRunner, owner: str) -> None:
    await enroll(runner, owner)
    async with runner.db.transaction() as tx:
        await tx.execute(_OPEN)
    assert (await send(runner)).outcome == "deferred"


async def test_its_own_unless_is_about_the_contact(runner: ActivityRunner, owner: str) -> None:
    await enroll(runner, owner)
    await runner.store.contact(runner.contact, attributes={"quiet": True})
    assert (await send(runner, "not-now")).reason == "excluded: condition"


def runner_track() -> str:
    return (
        "track: plain\ndefaults: {email: {from: 'ada@acme.test'}}\n"
        "steps: [{id: hello, email: {template: hello, variables: {cta: Go}}}]\n"
    )
