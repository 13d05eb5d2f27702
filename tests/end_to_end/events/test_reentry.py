"""Laws 2 and 8 when contacts enter tracks: neither run loses an event that restarts a run."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.installation.one_process import Installation
from store.published import tracks
from tracks.checks.track_document import parse_track
from tracks.compiler.compiler import compile_track

TRACK = """
track: cart-anew
entry: {event: anew.changed}
reentry: {restart: true}
exits: [{event: anew.changed, reason: changed}]
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: month, wait: 30d}
  - {id: hello, email: {template: hello}}
"""


async def changed(installation: Installation, event_id: str) -> dict[str, Any]:
    body = {"event_id": event_id, "contact_id": "anew-1", "name": "anew.changed", "properties": {}}
    answer: dict[str, Any] = await installation.call("POST", "/v1/events", body)
    return answer


async def runs(installation: Installation, who: str = "anew-1") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await installation.call("GET", f"/v1/enrollments?contact_id={who}"))["enrollments"]
    return found


async def test_an_event_that_restarts_a_track_ends_the_run_in_temporal_and_starts_another(
    installation: Installation,
) -> None:
    await installation.publish("cart-anew", TRACK)
    await installation.call("PUT", "/v1/contacts/anew-1", {"email": "anew-1@people.test"})
    assert (await changed(installation, "a-1"))["enrolled"] == 1
    [first] = await runs(installation)
    await installation.until(first["id"], "waiting")
    assert (await changed(installation, "a-2"))["enrolled"] == 1
    second, old = await runs(installation)
    assert (old["id"], old["status"], old["end_reason"]) == (first["id"], "exited", "restarted")
    await installation.until(second["id"], "waiting", seconds=15)
    workflow = installation.temporal.get_workflow_handle(second["workflow_id"])
    assert await (await workflow.describe()).memo_value("enrollment_id") == second["id"]
    ended = await installation.call("GET", f"/v1/enrollments/{old['id']}")
    assert ended["counts"]["sent"] == {}, "the old run has written down what it came to"
    await installation.call("POST", f"/v1/enrollments/{second['id']}/end")


ROUND = """
track: round-{name}
reentry: always
defaults: {{email: {{from: 'Ada <ada@acme.test>'}}}}
steps:
  - {{id: hello, email: {{template: hello}}}}
  - {{id: next, enroll: {{track: round-{other}}}}}
"""


async def test_tracks_that_enrol_each_other_since_before_that_was_refused_go_round_once(
    installation: Installation,
) -> None:
    """Without the limit one person got 217 emails in twelve seconds."""
    async with installation.database.transaction() as tx:
        for name, other in (("a", "b"), ("b", "a")):
            document = ROUND.format(name=name, other=other)
            track = parse_track(document, "round.yaml")
            await tracks.publish(tx, track, compile_track(track), document)
    await installation.call("PUT", "/v1/contacts/round-1", {"email": "round-1@people.test"})
    body = {"track": "round-a", "contact_id": "round-1"}
    first = await installation.call("POST", "/v1/enrollments", body)
    await installation.until(first["id"], "completed")
    async with asyncio.timeout(20):
        while "active" in {one["status"] for one in await runs(installation, "round-1")}:
            await asyncio.sleep(0.1)
    found = await runs(installation, "round-1")
    assert len(found) == len(await installation.accepted("round-1@people.test")) == 2
    last = await installation.call("GET", f"/v1/enrollments/{found[0]['id']}")
    assert last["path"][-1]["step"] == "next"
    assert last["path"][-1]["detail"] in ("too-soon", "existing"), "the first was over, or just about to be"


REPLENISH = """
track: replenish-e2e
entry: {event: beans.paid}
reentry: {per: sku, restart: true}
goal: {event: beans.paid, where: 'event.properties.sku == enrollment.properties.sku'}
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: month, wait: 30d}
  - {id: reminder, email: {template: hello}}
"""


async def test_the_order_that_ends_one_replenishment_begins_the_next_in_temporal_too(
    installation: Installation,
) -> None:
    await installation.publish("replenish-e2e", REPLENISH)
    await installation.call("PUT", "/v1/contacts/beans-1", {"email": "beans-1@people.test"})
    for number in range(3):
        body = {"event_id": f"beans-{number}", "contact_id": "beans-1", "name": "beans.paid"}
        answer = await installation.call("POST", "/v1/events", body | {"properties": {"sku": "b-1"}})
        assert (answer["enrolled"], answer["matched"]) == (1, min(number, 1))
        newest = (await runs(installation, "beans-1"))[0]
        await installation.until(newest["id"], "waiting", seconds=20)
    found = await runs(installation, "beans-1")
    assert [(one["status"], one["end_reason"], one["key"], one["entry"]) for one in reversed(found)] == [
        ("converted", "goal", "b-1", "beans.paid"),
        ("converted", "goal", "b-1", "beans.paid"),
        ("active", None, "b-1", "beans.paid"),
    ]
    workflow = installation.temporal.get_workflow_handle(found[0]["workflow_id"])
    assert await (await workflow.describe()).memo_value("enrollment_id") == found[0]["id"]
    await installation.call("POST", f"/v1/enrollments/{found[0]['id']}/end")
