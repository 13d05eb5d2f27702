"""A run waits on real servers until the contact is on another plan, however the plan changes."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.installation.one_process import Installation

TRACK = """
track: on-team
reentry: always
steps:
  - id: upgraded
    wait_for:
      condition: 'contact.attributes.plan == "zz-team" && contact.attributes.seats > 2'
      within: 14d
      then: [{id: thank, set: {add: {thanked: 1}}}]
"""


async def run_waiting(installation: Installation, who: str) -> dict[str, Any]:
    await installation.call("PUT", f"/v1/contacts/{who}", {"attributes": {"plan": "zz-solo"}})
    run: dict[str, Any] = await installation.call("POST", "/v1/enrollments", {"track": "on-team", "contact_id": who})
    await installation.until(run["id"], "waiting")
    return run


async def test_the_change_that_makes_the_condition_hold_ends_the_wait(installation: Installation) -> None:
    await installation.publish("on-team", TRACK)
    runs = await asyncio.gather(*(run_waiting(installation, f"cond-{number}") for number in range(2)))
    for attributes in ({"plan": "zz-team"}, {"plan": "zz-team", "seats": 3}):
        await installation.call("PUT", "/v1/contacts/cond-0", {"attributes": attributes})
    ended = await installation.until(runs[0]["id"], "completed", seconds=20)
    path = [(entry["step"], entry["outcome"]) for entry in ended["path"]]
    assert path == [("upgraded", "happened"), ("thank", "done")]
    assert (await installation.call("GET", "/v1/contacts/cond-0"))["attributes"]["thanked"] == 1
    history = (await installation.temporal.get_workflow_handle(ended["workflow_id"]).fetch_history()).events
    assert b"zz-" not in b"".join(event.SerializeToString() for event in history)
    other = await installation.call("GET", f"/v1/enrollments/{runs[1]['id']}")
    assert other["status"] == "active"
