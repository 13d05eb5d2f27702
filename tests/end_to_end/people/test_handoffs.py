"""A lead goes to sales on real servers: the task's signed link answers, and the run goes on by the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from bench.installation.one_process import Installation

POLICY = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada Lovelace}]}}
  reject_reasons: {wrong-time: Not now}
  hold: {tracks: [meanwhile]}
"""
MEANWHILE = """
track: meanwhile
steps:
  - {id: news, sms: {text: News, from: '+15005550006'}}
"""
TRACK = """
track: handing
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - id: sales
    handoff:
      to: sales
      reason: Asked for a price
      due: %s
      when_none: exit
      accepted: [{id: taken, exit: {reason: with-sales}}]
      rejected:
        - id: why
          branch:
            - when: 'event.properties.reason == "wrong-time"'
              steps: [{id: later, exit: {reason: try-later}}]
      expired: [{id: silent, exit: {reason: nobody-answered}}]
"""


async def begun(installation: Installation, contact_id: str, due: str = "2d") -> tuple[dict[str, Any], dict[str, Any]]:
    """The run that waits for the answer, and its handoff."""
    answer = await installation.api.put("/v1/policy", content=POLICY, headers={"Content-Type": "application/yaml"})
    assert answer.is_success, answer.text
    await installation.publish("handing", TRACK % due)
    await installation.call("PUT", f"/v1/contacts/{contact_id}", {"email": f"{contact_id}@example.com"})
    run = await installation.call("POST", "/v1/enrollments", {"track": "handing", "contact_id": contact_id})
    async with asyncio.timeout(30):
        while not (found := (await installation.call("GET", f"/v1/handoffs?contact_id={contact_id}"))["handoffs"]):
            await asyncio.sleep(0.1)
    return run, await installation.call("GET", f"/v1/handoffs/{found[0]['id']}")


async def test_the_signed_link_of_the_task_answers_and_the_run_goes_on(installation: Installation) -> None:
    run, handoff = await begun(installation, "handing-1")
    waiting = await installation.until(run["id"], "waiting")
    assert waiting["step"] == "sales"
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(handoff["answer_url"])).status_code == 200
        answer = await anybody.post(handoff["answer_url"], data={"say": "rejected", "reason": "wrong-time"})
    assert answer.status_code == 200
    ended = await installation.until(run["id"], "exited")
    assert ended["end_reason"] == "try-later"
    events = (await installation.call("GET", "/v1/events?contact_id=handing-1"))["events"]
    assert [one["name"] for one in events] == ["handoff.rejected"]


async def test_a_handoff_that_nobody_answers_expires_and_a_late_answer_is_kept(installation: Installation) -> None:
    run, handoff = await begun(installation, "handing-2", due="2s")
    ended = await installation.until(run["id"], "exited")
    assert ended["end_reason"] == "nobody-answered"
    late = await installation.api.post(f"/v1/handoffs/{handoff['id']}/feedback", json={"status": "accepted"})
    assert late.status_code == 200 and "too late" in late.json()["detail"]
    shown = await installation.call("GET", f"/v1/handoffs/{handoff['id']}")
    assert (shown["status"], [one["status"] for one in shown["late_answers"]]) == ("expired", ["accepted"])
    assert (await installation.call("GET", f"/v1/enrollments/{run['id']}"))["end_reason"] == "nobody-answered"


async def test_a_message_that_waits_for_sales_goes_as_soon_as_the_lead_is_rejected(installation: Installation) -> None:
    _, handoff = await begun(installation, "handing-4")
    await installation.publish("meanwhile", MEANWHILE)
    asked = {"track": "meanwhile", "contact_id": "handing-4"}
    await installation.call("PUT", "/v1/contacts/handing-4", {"phone": "+15551230004"})
    run = await installation.call("POST", "/v1/enrollments", asked)
    await installation.until(run["id"], "deferred")
    reject = {"status": "rejected", "reason": "wrong-time"}
    await installation.call("POST", f"/v1/handoffs/{handoff['id']}/feedback", reject)
    ended = await installation.until(run["id"], "completed")
    assert [(one["outcome"], one["detail"][:10]) for one in ended["path"]] == [("deferred", "with sales"), ("sent", "")]


async def test_the_history_of_a_handoff_holds_ids_only(installation: Installation) -> None:
    run, handoff = await begun(installation, "handing-3")
    await installation.call("POST", f"/v1/handoffs/{handoff['id']}/feedback", {"status": "accepted"})
    ended = await installation.until(run["id"], "exited")
    assert ended["end_reason"] == "with-sales"
    history = await installation.temporal.get_workflow_handle(run["workflow_id"]).fetch_history()
    raw = history.to_json()
    assert not any(secret in raw for secret in ("handing-3@example.com", "Lovelace", "Asked for a price"))
