"""Law 1: history holds no personal data, whatever the run does and whatever goes wrong."""

from __future__ import annotations

import base64

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType

from bench.installation.one_process import Installation, Servers, installation_on
from tests.end_to_end.conftest import MAIL
from tracks.runs.run_interface import MEMO_ENROLLMENT

NAME, MAILBOX, PHONE = "Zebulon-Quagmire", "zebulon.quagmire", "+4915112345678"

TRACK = """
track: private
goal: {event: bought}
defaults:
  email: {from: 'Ada <ada@acme.test>'}
  sms: {from: '+15005550006'}
steps:
  - {id: hello, email: {template: hello, subject: 'Dear {{ contact.attributes.first_name | default: "you" }}'}}
  - {id: text, sms: {text: 'Hi {{ contact.attributes.first_name | default: "you" }}'}}
  - {id: refused, email: {template: hello, from: 'Eve <eve@unverified.test>'}}
  - {id: note, crm: {stage: lead, note: 'Talked to {{ contact.attributes.first_name }}', fields: {nick: 'x'}}}
  - {id: mark, set: {attributes: {greeted: true}}}
  - id: role
    branch: [{when: 'contact.attributes.first_name == "Zebulon-Quagmire"', steps: [{id: yes, wait: 1m}]}]
  - id: answered
    wait_for:
      event: said
      where: 'event.properties.words != ""'
      within: 30d
      then:
        - id: kind
          branch: [{when: 'event.properties.topic == "price"', steps: [{id: short, wait: 1m}]}]
  - {id: long, wait: 30d}
"""


async def test_nothing_personal_is_in_the_recorded_history(installation: Installation) -> None:
    await installation.publish("private", TRACK)
    await installation.call(
        "PUT",
        "/v1/contacts/user-7",
        {
            "email": f"{MAILBOX}@people.test",
            "phone": PHONE,
            "timezone": "Europe/Berlin",
            "attributes": {"first_name": NAME},
        },
    )
    # an unknown outcome, which the provider's own event settles
    await installation.misbehave("ses", "drop_after", times=1, match=MAILBOX)
    wish = {"track": "private", "contact_id": "user-7", "properties": {"gift_for": NAME}, "pace": 3600}
    enrolled = await installation.call("POST", "/v1/enrollments", wish)
    run = installation.temporal.get_workflow_handle(enrolled["workflow_id"])
    await _until_waiting(installation, enrolled["id"], "answered")
    words = {"topic": "price", "words": f"Call {NAME} at {PHONE} or {MAILBOX}@people.test"}
    said = {"event_id": "e-1", "contact_id": "user-7", "name": "said", "properties": words}
    assert (await installation.call("POST", "/v1/events", said))["matched"] == 1
    await _until_waiting(installation, enrolled["id"], "long")
    bought = {"event_id": "e-2", "contact_id": "user-7", "name": "bought", "properties": {"by": NAME}}
    await installation.call("POST", "/v1/events", bought)
    ended = await installation.until(enrolled["id"], "converted")
    await run.result()
    outcomes = {entry["step"]: entry["outcome"] for entry in ended["path"]}
    assert outcomes["refused"] == "failed"
    assert outcomes["text"] == "sent"
    assert outcomes["role"] == "took"

    description = await run.describe()
    raw = b"".join(event.SerializeToString() for event in (await run.fetch_history()).events)
    raw += description.raw_description.SerializeToString()
    for personal in (NAME, NAME.lower(), MAILBOX, PHONE, PHONE[1:], "people.test"):
        assert personal.encode() not in raw, personal
    assert b"user-7" in raw  # the search itself works: ids are there


async def _until_waiting(installation: Installation, enrollment_id: str, step: str) -> None:
    while (found := await installation.until(enrollment_id, "waiting"))["step"] != step:
        assert found["status"] == "active"


async def test_the_failure_that_a_provider_words_with_an_address_travels_as_a_class_only(
    installation: Installation,
) -> None:
    await installation.publish("wording", TRACK.replace("private", "wording"))
    await installation.call("PUT", "/v1/contacts/user-8", {"email": f"{MAILBOX}.two@people.test"})
    await installation.misbehave("ses", "429", times=2, retry_after=1, match=f"{MAILBOX}.two")
    enrolled = await installation.call(
        "POST", "/v1/enrollments", {"track": "wording", "contact_id": "user-8", "pace": 86400}
    )
    await _until_waiting(installation, enrolled["id"], "answered")
    run = installation.temporal.get_workflow_handle(enrolled["workflow_id"])
    history = (await run.fetch_history()).events
    failures = [event for event in history if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED]
    assert any(event.activity_task_started_event_attributes.HasField("last_failure") for event in failures)
    assert MAILBOX.encode() not in b"".join(event.SerializeToString() for event in history)
    await run.terminate()


async def test_with_a_key_temporal_keeps_nothing_that_can_be_read_and_everything_works(servers: Servers) -> None:
    """Check the start, which the relay encodes itself, signals, a query, activities, the doctor's memo, the result."""
    key = SecretStr(base64.b64encode(bytes(range(32))).decode())
    async with installation_on(servers, provider_timeout=1, payload_keys=(key,)) as installation:
        await installation.publish("hello", MAIL, "templates")
        await installation.publish("sealed", TRACK.replace("private", "sealed"))
        await installation.call("PUT", "/v1/contacts/user-9", {"email": f"{MAILBOX}.nine@people.test"})
        wish = {"track": "sealed", "contact_id": "user-9", "pace": 3600}
        enrolled = await installation.call("POST", "/v1/enrollments", wish)
        await _until_waiting(installation, enrolled["id"], "answered")
        said = {"event_id": "s-1", "contact_id": "user-9", "name": "said"}
        await installation.call(
            "POST", "/v1/events", said | {"properties": {"topic": "price", "words": "Rosengasse-77"}}
        )
        await _until_waiting(installation, enrolled["id"], "long")

        run = installation.temporal.get_workflow_handle(enrolled["workflow_id"])
        await installation.call("POST", "/v1/events", {"event_id": "s-2", "contact_id": "user-9", "name": "bought"})
        await installation.until(enrolled["id"], "converted")
        await run.result()
        described = await run.describe()
        assert await described.memo_value(MEMO_ENROLLMENT) == enrolled["id"]
        raw = b"".join(event.SerializeToString() for event in (await run.fetch_history()).events)
        raw += described.raw_description.SerializeToString()
        for readable in (b"Rosengasse-77", b'"topic"', b'"program"', enrolled["id"].encode()):
            assert readable not in raw, readable
        assert b"binary/encrypted" in raw
