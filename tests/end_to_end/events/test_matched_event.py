"""What an event says reaches the contact on real servers, and never the history of the run."""

from __future__ import annotations

from bench.installation.one_process import Installation

TRACK = """
track: parcels
steps:
  - id: shipped
    wait_for: {event: order.shipped, within: 10d}
  - id: keep
    set: {attributes: {parcel: '{{ event.properties.number }}'}}
  - id: settle
    wait: 1s
"""


async def test_a_later_step_writes_what_the_event_said_and_the_history_holds_its_id(installation: Installation) -> None:
    await installation.publish("parcels", TRACK)
    await installation.call("PUT", "/v1/contacts/parcel-1", {})
    run = await installation.call("POST", "/v1/enrollments", {"track": "parcels", "contact_id": "parcel-1"})
    await installation.until(run["id"], "waiting")
    event = {
        "event_id": "e-parcel",
        "contact_id": "parcel-1",
        "name": "order.shipped",
        "properties": {"number": "zz-parcel-17"},
    }
    assert (await installation.call("POST", "/v1/events", event))["matched"] == 1
    ended = await installation.until(run["id"], "completed", seconds=20)
    assert (await installation.call("GET", "/v1/contacts/parcel-1"))["attributes"] == {"parcel": "zz-parcel-17"}
    history = (await installation.temporal.get_workflow_handle(ended["workflow_id"]).fetch_history()).events
    raw = b"".join(one.SerializeToString() for one in history)
    assert b"e-parcel" in raw and b"zz-parcel" not in raw
