"""Contacts are merged while their runs are live in Temporal: no run is lost or stuck, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.installation.one_process import Installation

TRACK = """
track: merging
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: hello, email: {template: hello}}
  - id: asked
    wait_for: {event: merging.go, since: enrollment, within: 30d, then: [], else: [{id: late, exit: {reason: late}}]}
  - {id: second, email: {template: hello}}
"""
RESTARTING = """
track: merging-anew
entry: {event: merging.changed}
reentry: {restart: true}
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: month, wait: 30d}
  - {id: hello, email: {template: hello}}
"""


async def waiting(installation: Installation, contact_id: str, track: str = "merging") -> dict[str, Any]:
    """A contact with an address and a run that has sent its first email and waits."""
    await installation.call("PUT", f"/v1/contacts/{contact_id}", {"email": f"{contact_id}@people.test"})
    run = await installation.call("POST", "/v1/enrollments", {"track": track, "contact_id": contact_id})
    found: dict[str, Any] = await installation.until(run["id"], "waiting")
    return found


async def sent(installation: Installation, contact_id: str) -> int:
    return len(await installation.accepted(f"{contact_id}@people.test"))


async def happen(installation: Installation, contact_id: str, name: str, event_id: str) -> dict[str, Any]:
    body = {"event_id": event_id, "contact_id": contact_id, "name": name}
    answer: dict[str, Any] = await installation.call("POST", "/v1/events", body)
    return answer


async def test_the_older_run_goes_on_for_the_survivor_and_the_younger_ends(installation: Installation) -> None:
    await installation.publish("merging", TRACK)
    older = await waiting(installation, "merge-b")
    younger = await waiting(installation, "merge-a")
    done = await installation.call("POST", "/v1/contacts/merge-a/merge", {"from": "merge-b"})
    assert done["runs_ended"] == [younger["id"]]
    ended = await installation.until(younger["id"], "exited")
    assert ended["end_reason"] == "merged"
    answer = await happen(installation, "merge-b", "merging.go", "merge-go-1")
    assert (answer["matched"], answer["merged_into"]) == (1, "merge-a")
    ended = await installation.until(older["id"], "completed")
    assert ended["contact_id"] == "merge-a"
    assert [entry["outcome"] for entry in ended["path"] if entry["kind"] == "email"] == ["sent", "sent"]
    assert (await sent(installation, "merge-a"), await sent(installation, "merge-b")) == (2, 1)


async def test_what_was_sent_under_the_other_id_is_not_sent_again_and_its_event_ends_the_wait(
    installation: Installation,
) -> None:
    """The older run was held back before its first message; the younger one was ahead."""
    await installation.publish("merging", TRACK)
    await installation.call("PUT", "/v1/contacts/merge-c", {"email": "merge-c@people.test"})
    soon = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    await installation.call("POST", "/v1/contacts/merge-c/pause", {"until": soon})
    older = await installation.call("POST", "/v1/enrollments", {"track": "merging", "contact_id": "merge-c"})
    await installation.until(older["id"], "deferred", "waiting")
    await waiting(installation, "merge-d")
    await happen(installation, "merge-d", "merging.go", "merge-go-2")
    async with asyncio.timeout(20):
        while await sent(installation, "merge-d") < 2:
            await asyncio.sleep(0.05)
    await installation.call("POST", "/v1/contacts/merge-c/merge", {"from": "merge-d"})
    ended = await installation.until(older["id"], "completed", seconds=30)
    mails = [entry["outcome"] for entry in ended["path"] if entry["kind"] == "email"]
    assert mails == ["deferred", "skipped", "skipped"], ended["path"]
    assert (await sent(installation, "merge-c"), await sent(installation, "merge-d")) == (0, 2)


async def test_a_merged_run_that_begins_anew_ends_and_the_new_one_starts(installation: Installation) -> None:
    await installation.publish("merging-anew", RESTARTING)
    old = await waiting(installation, "merge-f", "merging-anew")
    await installation.call("PUT", "/v1/contacts/merge-e", {"email": "merge-e@people.test"})
    await installation.call("POST", "/v1/contacts/merge-e/merge", {"from": "merge-f"})
    assert (await happen(installation, "merge-f", "merging.changed", "merge-change"))["enrolled"] == 1
    ended = await installation.until(old["id"], "exited")
    assert ended["end_reason"] == "restarted"
    runs = (await installation.call("GET", "/v1/enrollments?contact_id=merge-e"))["enrollments"]
    [new] = [run for run in runs if run["status"] == "active"]
    await installation.until(new["id"], "waiting")
    await installation.call("POST", f"/v1/enrollments/{new['id']}/end")


async def test_a_run_is_given_back_with_its_contact(installation: Installation) -> None:
    await installation.publish("merging", TRACK)
    run = await waiting(installation, "merge-h")
    await installation.call("PUT", "/v1/contacts/merge-g", {"email": "merge-g@people.test"})
    await installation.call("POST", "/v1/contacts/merge-g/merge", {"from": "merge-h"})
    await installation.call("POST", "/v1/contacts/merge-g/unmerge", {"from": "merge-h"})
    assert "merged_into" not in await happen(installation, "merge-h", "merging.go", "merge-go-3")
    ended = await installation.until(run["id"], "completed")
    assert ended["contact_id"] == "merge-h"
    assert (await sent(installation, "merge-g"), await sent(installation, "merge-h")) == (0, 2)
