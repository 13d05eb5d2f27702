"""Laws 2, 5 and 9 through the public API: events count once, end waits at once, and cost Temporal nothing if unused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType

from bench.installation.one_process import Installation

TRACK = """
track: listening
reentry: {per: cart_id}
goal: {event: bought, where: 'event.properties.cart_id == enrollment.properties.cart_id'}
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: hello, email: {template: hello}}
  - {id: month, wait: 30d}
  - {id: reply, wait_for: {event: said, within: 1d, since: enrollment, then: [{id: thanks, email: {template: hello}}]}}
"""


async def enrolled(installation: Installation, contact_id: str, cart: str = "cart-1", **wish: Any) -> dict[str, Any]:
    await installation.publish("listening", TRACK)
    await installation.call("PUT", f"/v1/contacts/{contact_id}", {"email": f"{contact_id}@people.test"})
    body = {"track": "listening", "contact_id": contact_id, "properties": {"cart_id": cart}, **wish}
    answer: dict[str, Any] = await installation.call("POST", "/v1/enrollments", body)
    return answer


async def post(
    installation: Installation, contact_id: str, name: str, event_id: str, **properties: Any
) -> dict[str, Any]:
    body = {"event_id": event_id, "contact_id": contact_id, "name": name, "properties": properties}
    answer: dict[str, Any] = await installation.call("POST", "/v1/events", body)
    return answer


async def test_a_goal_amid_a_thirty_day_wait_ends_the_run_within_a_second(installation: Installation) -> None:
    run = await enrolled(installation, "goal-1")
    await installation.until(run["id"], "waiting")
    assert (await post(installation, "goal-1", "bought", "g-1", cart_id="cart-1"))["matched"] == 1
    ended = await installation.until(run["id"], "converted", seconds=10)
    assert ended["end_reason"] == "goal"
    handle = installation.temporal.get_workflow_handle(run["workflow_id"])
    await handle.result()  # the database has the end a moment before the history
    events = (await handle.fetch_history()).events
    times = {event.event_type: event.event_time.ToDatetime() for event in events}
    took = (
        times[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED]
        - times[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
    )
    assert took < timedelta(seconds=1)


async def test_a_goal_before_the_next_attempt_of_a_refused_message_leaves_it_skipped(
    installation: Installation,
) -> None:
    """Nobody tries it again, so without this its row would show the refusal for ever."""
    await installation.misbehave("ses", "429", times=None, retry_after=30, match="goal-2@")
    run = await enrolled(installation, "goal-2")
    async with asyncio.timeout(20):
        while [
            one["status"] for one in (await installation.call("GET", f"/v1/enrollments/{run['id']}"))["messages"]
        ] != ["released"]:
            await asyncio.sleep(0.1)
    await post(installation, "goal-2", "bought", "g-2", cart_id="cart-1")
    [message] = (await installation.until(run["id"], "converted", seconds=10))["messages"]
    assert (message["status"], message["reason"]) == ("skipped", "goal")
    assert await installation.accepted("goal-2@people.test") == []


async def test_an_event_posted_twice_counts_once_though_it_came_before_its_wait(installation: Installation) -> None:
    run = await enrolled(installation, "twice-1", pace=86400 * 5)
    first = await post(installation, "twice-1", "said", "t-1")
    second = await post(installation, "twice-1", "said", "t-1")
    assert (first["matched"], first["duplicate"]) == (1, False)
    assert (second["matched"], second["duplicate"]) == (0, True)
    ended = await installation.until(run["id"], "completed")
    assert [entry["step"] for entry in ended["path"]] == ["hello", "month", "reply", "thanks"]
    assert ended["counts"]["dropped"] == {}
    assert len(await installation.accepted("twice-1@people.test")) == 2


async def test_an_event_that_no_run_can_react_to_costs_temporal_nothing(installation: Installation) -> None:
    run = await enrolled(installation, "quiet-1")
    await installation.until(run["id"], "waiting")
    handle = installation.temporal.get_workflow_handle(run["workflow_id"])
    before = (await handle.describe()).history_length
    assert (await post(installation, "quiet-1", "scrolled", "q-1"))["matched"] == 0
    assert (await post(installation, "quiet-1", "bought", "q-2", cart_id="another"))["matched"] == 0
    await asyncio.sleep(0.5)
    assert (await handle.describe()).history_length == before
    await handle.terminate()


async def test_an_erased_contact_leaves_no_data_and_no_run(installation: Installation) -> None:
    run = await enrolled(installation, "gone-1")
    await installation.until(run["id"], "waiting")
    await installation.call("DELETE", "/v1/contacts/gone-1")
    ended = await installation.until(run["id"], "exited")
    assert ended["end_reason"] == "erased"
    assert (await installation.api.get("/v1/contacts/gone-1")).status_code == 404
    assert (await post(installation, "gone-1", "said", "late-1"))["matched"] == 0


async def test_two_carts_of_one_contact_run_side_by_side_and_convert_apart(installation: Installation) -> None:
    one, two = await enrolled(installation, "carts-1", "a"), await enrolled(installation, "carts-1", "b")
    assert one["workflow_id"] != two["workflow_id"]
    await installation.until(one["id"], "waiting")
    await installation.until(two["id"], "waiting")
    assert (await post(installation, "carts-1", "bought", "c-1", cart_id="b"))["matched"] == 1
    await installation.until(two["id"], "converted")
    assert (await installation.until(one["id"], "waiting"))["status"] == "active"
    await installation.temporal.get_workflow_handle(one["workflow_id"]).terminate()
