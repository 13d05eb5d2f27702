"""What an operator reads in Temporal about one contact, from a real server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.common import SearchAttributeKey

from bench.installation.one_process import Installation

TRACK = """
track: watched
name: A watched track
description: Says hello.
owner: success
goal: {event: bought}
defaults: {email: {from: 'Ada <ada@acme.test>'}, sms: {from: '+15005550006'}}
steps:
  - {id: hello, email: {template: hello}}
  - {id: text, sms: {text: Hi}}
  - id: known
    branch: [{when: 'contact.attributes.plan == "pro"', steps: [{id: note, set: {attributes: {seen: true}}}]}]
  - {id: reply, wait_for: {event: said, within: 3d}}
"""


async def test_the_list_the_details_and_the_summaries_say_where_the_contact_is(installation: Installation) -> None:
    await installation.publish("watched", TRACK)
    await installation.call("PUT", "/v1/contacts/user-9", {"email": "nine@people.test", "attributes": {"plan": "pro"}})
    enrolled = await installation.call("POST", "/v1/enrollments", {"track": "watched", "contact_id": "user-9"})
    await installation.until(enrolled["id"], "waiting")
    query = 'Track="watched" AND TrackVersion=1 AND Step="reply" AND State="waiting"'
    async with asyncio.timeout(20):
        while not (found := [run async for run in installation.temporal.list_workflows(query)]):
            await asyncio.sleep(0.1)
    assert [run.id for run in found] == ["nurture/watched/user-9"]
    due = found[0].typed_search_attributes.get(SearchAttributeKey.for_datetime("NextActionAt"))
    assert due is not None
    assert abs(due - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=2)

    run = installation.temporal.get_workflow_handle("nurture/watched/user-9")
    description = await run.describe()
    assert await description.static_summary() == "watched v1, contact user-9"
    assert (await description.static_details() or "").split("\n\n") == [
        "**A watched track**, version 1",
        "Says hello.",
        "Owner: success.",
        "Goal: the event `bought`.",
        "As it was published: `GET /v1/tracks/watched?version=1`.",
    ]
    metadata: WorkflowMetadata = await run.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    for words in (
        "**watched** version 1, contact `user-9`",
        "At step `reply`: **waiting**",
        "Waiting for the event said.",
        "Sent: 1 email.",
        "`hello` sent",
        "`text` skipped (no address)",
    ):
        assert words in metadata.current_details

    summaries = [
        event.user_metadata.summary.data.decode()
        for event in (await run.fetch_history()).events
        if event.HasField("user_metadata") and event.user_metadata.HasField("summary")
    ]
    assert summaries[-5:] == [
        '"hello: email"',
        '"text: sms"',
        '"known: branch"',
        '"note: set"',
        '"reply: the event said"',
    ]

    await installation.call("POST", "/v1/events", {"contact_id": "user-9", "event_id": "said-1", "name": "said"})
    await run.result()
    told = [
        event.workflow_execution_signaled_event_attributes.input.payloads[0].data.decode()
        for event in (await run.fetch_history()).events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert [words.startswith('{"name":"said","matches":["step:reply"],') for words in told] == [True]
