"""Operators' calls of the API with real servers: read what was sent, and command runs."""

from __future__ import annotations

import hashlib
from typing import Any

from bench.installation.one_process import Installation

TRACK = """
track: commanded
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: hello, email: {template: plan, variables: {plan: team}}}
  - {id: rest, wait: 3d}
  - {id: again, wait: 2d}
"""
POLICY = "keep_sent: 2d\n"
MAIL = """---
kind: email
subject: 'Hello {{ contact.attributes.first_name | default: "you" }}'
variables: {plan: {default: free}}
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>You have {{ plan }}. <a href="{{ unsubscribe_url }}">No more of these</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


async def said(installation: Installation, enrollment: str, word: str, body: Any = None) -> tuple[int, Any]:
    answer = await installation.api.post(f"/v1/enrollments/{enrollment}/{word}", json=body)
    return answer.status_code, answer.json()


async def test_a_run_is_told_to_go_on_and_to_end_and_its_message_is_shown_as_it_was_sent(
    installation: Installation,
) -> None:
    assert (await installation.api.put("/v1/policy", content=POLICY, headers={"Content-Type": "text/plain"})).is_success
    await installation.publish("plan", MAIL, "templates")
    await installation.publish("commanded", TRACK)
    to = "commanded@people.test"
    await installation.call("PUT", "/v1/contacts/user-c", {"email": to, "attributes": {"first_name": "Cleo"}})
    run = (await installation.call("POST", "/v1/enrollments", {"track": "commanded", "contact_id": "user-c"}))["id"]
    await installation.until(run, "waiting")

    [listed] = (await installation.call("GET", "/v1/messages?template=plan&template_version=1&contact_id=user-c"))[
        "messages"
    ]
    shown = await installation.call("GET", f"/v1/messages/{listed['id']}")
    [sent] = await installation.accepted(to)
    assert shown["rendering"]["subject"] == sent["subject"] == "Hello Cleo"
    assert (shown["rendering"]["html"], shown["rendering"]["text"]) == (sent["html"], sent["text"])
    assert shown["subject_digest"] == hashlib.sha256(b"Hello Cleo").hexdigest()
    assert (shown["variables"], shown["track_version"], shown["status"]) == ({"plan": "team"}, 1, "sent")

    status, answer = await said(installation, run, "skip-wait", {"step": "again"})
    assert (status, answer["detail"]) == (409, "The run is at rest, not at again.")
    assert await said(installation, run, "skip-wait", {"step": "rest"}) == (200, {"id": run, "step": "rest"})
    while (await installation.until(run, "waiting"))["step"] != "again":
        pass
    status, answer = await said(installation, run, "exit", {"reason": "No Word"})
    assert (status, answer["errors"][0]["pointer"]) == (422, "#/reason")
    assert await said(installation, run, "exit", {"reason": "asked-by-phone"}) == (
        200,
        {"id": run, "reason": "asked-by-phone"},
    )
    await installation.temporal.get_workflow_handle("nurture/commanded/user-c").result()
    for word in ("skip-wait", "exit"):
        status, answer = await said(installation, run, word, {"reason": "again"} if word == "exit" else None)
        assert (status, answer["type"]) == (409, "urn:perennial:problem:run-refused")
