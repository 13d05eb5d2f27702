"""A track makes a task for a salesperson and waits for the answer: on real servers, through the CRM's API."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.installation.one_process import Installation

TRACK = """
track: hot-lead
reentry: always
steps:
  - {id: call, crm: {stage: contacted, task: {title: 'Call {{ contact.id }}', owner: ada}}}
  - id: called
    wait_for:
      event: crm.task_completed
      where: 'event.properties.step == "call" && event.properties.outcome == "accepted"'
      within: 3d
      then: [{id: taken, set: {attributes: {taken: true}}}]
      else: []
"""
CIRCLE = """
track: staged
entry: {event: crm.stage_changed}
reentry: always
steps:
  - {id: again, crm: {stage: contacted}}
"""


async def tasks_of(installation: Installation, who: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            listed = await installation.call("GET", f"/v1/crm/tasks?status=open&owner=ada&contact_id={who}")
            found: list[dict[str, Any]] = listed["tasks"]
            if found:
                return found
            await asyncio.sleep(0.1)


async def test_a_run_goes_on_with_a_salespersons_answer_and_hears_nothing_of_its_own_step(
    installation: Installation,
) -> None:
    await installation.publish("hot-lead", TRACK)
    await installation.publish("staged", CIRCLE)
    await installation.call("PUT", "/v1/contacts/crm-lead", {})
    run = await installation.call("POST", "/v1/enrollments", {"track": "hot-lead", "contact_id": "crm-lead"})
    (task,) = await tasks_of(installation, "crm-lead")
    assert task["title"] == "Call crm-lead"
    await installation.until(run["id"], "waiting")
    await installation.call("POST", f"/v1/crm/tasks/{task['id']}/complete", {"outcome": "accepted", "by": "ada"})
    await installation.until(run["id"], "completed", seconds=20)
    found = await installation.call("GET", "/v1/contacts/crm-lead")
    assert found["attributes"] == {"crm_stage": "contacted", "taken": True}
    runs = (await installation.call("GET", "/v1/contacts/crm-lead/enrollments"))["enrollments"]
    assert [one["track"] for one in runs] == ["hot-lead"]
