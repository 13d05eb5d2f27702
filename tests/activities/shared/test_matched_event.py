"""The texts of a step read the event that a wait matched: the stored one, of this contact only."""

from __future__ import annotations

from typing import Any

import pytest

from activities.contract import (
    QUEUE_CRM,
    QUEUE_SMS,
    RECONCILE_MESSAGE,
    SEND_SMS,
    SET_ATTRIBUTES,
    UPDATE_CRM,
    ReconcileCall,
    SendResult,
    StepCall,
)
from store.people import contacts
from store.people.crm import crm
from tests.activities.activity_runner import ActivityRunner

TRACK = """
track: parcels
defaults: {sms: {from: '+15005550006'}}
steps:
  - id: shipped
    wait_for: {event: order.shipped, within: 3d}
  - id: keep
    set:
      attributes: {parcel: '{{ event.properties.number }}', from: '{{ event.name }}'}
      numbers: {weight: '{{ event.properties.grams | default: 0 | divided_by: 1000.0 }}'}
  - id: note
    crm: {note: 'Sent as {{ event.properties.number | default: "unknown" }} to {{ event.properties.name }}'}
  - id: text
    sms: {text: 'On its way: {{ event.properties.number | default: "soon" }}'}
"""
EVENT: dict[str, Any] = {"number": "Z-17", "grams": 500, "name": "Zebulon"}


async def shipped(runner: ActivityRunner, contact: str = "", **properties: Any) -> str:
    await runner.store.happen("order.shipped", contact or runner.contact, event_id="ship-1", **properties)
    return "ship-1"


def call(runner: ActivityRunner, step: str, event_id: str) -> StepCall:
    return runner.call(step).model_copy(update={"event_id": event_id})


async def attributes(runner: ActivityRunner) -> dict[str, Any]:
    async with runner.db.transaction() as tx:
        found = await contacts.get(tx, runner.contact)
    assert found is not None
    return dict(found.attributes or {})


async def test_a_set_step_writes_what_the_event_says(runner: ActivityRunner) -> None:
    await runner.enroll(TRACK)
    await runner.local(SET_ATTRIBUTES, call(runner, "keep", await shipped(runner, **EVENT)))
    found = await attributes(runner)
    assert (found["parcel"], found["from"], found["weight"]) == ("Z-17", "order.shipped", 0.5)


@pytest.mark.parametrize("whose", ["own", "another's", "none"])
async def test_only_the_contacts_own_event_is_read(runner: ActivityRunner, whose: str) -> None:
    await runner.enroll(TRACK)
    event_id = "gone" if whose == "none" else await shipped(runner, "" if whose == "own" else "bob", **EVENT)
    await runner.run(QUEUE_CRM, UPDATE_CRM, call(runner, "note", event_id))
    async with runner.db.transaction() as tx:
        card = await crm.get(tx, runner.contact)
    assert card is not None
    expected = "Sent as Z-17 to Zebulon" if whose == "own" else "Sent as unknown to "
    assert [note.body for note in card.notes] == [expected]


async def test_a_message_shows_it_and_is_found_again_by_its_text(runner: ActivityRunner) -> None:
    await runner.enroll(TRACK)
    event_id = await shipped(runner, **EVENT)
    runner.providers.fault("twilio", "drop_after", times=1)
    unknown: SendResult = await runner.run(QUEUE_SMS, SEND_SMS, call(runner, "text", event_id))
    assert [one["text"] for one in runner.providers.accepted(runner.phone)] == ["On its way: Z-17"]
    assert unknown.outcome == "unknown"
    question = ReconcileCall(message_id=unknown.message_id, event_id=event_id)
    assert (await runner.run(QUEUE_SMS, RECONCILE_MESSAGE, question)).outcome == "sent"


async def test_after_an_erasure_nothing_of_it_is_left_to_read(runner: ActivityRunner) -> None:
    await runner.enroll(TRACK)
    event_id = await shipped(runner, **EVENT)
    await runner.erase()
    assert (await runner.local(SET_ATTRIBUTES, call(runner, "keep", event_id))).outcome == "ended"
