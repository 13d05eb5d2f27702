"""Tasks in HubSpot follow the answer, through the sandbox and HubSpot's own client, whatever fails between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from activities.contract import HAND_OVER, QUEUE_CRM
from activities.effects.handoff_task_updates import HandoffTaskUpdates
from store.engine.sql import utc_now
from store.people.handoffs import answering
from store.people.handoffs.answering import Said
from tests.activities.activity_runner import ActivityRunner
from tests.activities.effects.test_handoffs import begin, made


async def handed(runner: ActivityRunner) -> None:
    await runner.rebuild(crm="hubspot")
    await begin(runner)
    await runner.run(QUEUE_CRM, HAND_OVER, runner.call("sales"))


async def say(runner: ActivityRunner, said: Said, reason: str = "") -> None:
    (handoff,) = await made(runner)
    async with runner.db.transaction() as tx:
        await answering.answer(tx, said, handoff_id=handoff.id, reason=reason, by="link")


async def update(runner: ActivityRunner, now: datetime | None = None) -> bool:
    crm = runner.activities.providers.crm
    assert crm is not None
    return await HandoffTaskUpdates(runner.db, crm).update(crm, now)


async def task(runner: ActivityRunner) -> dict[str, Any]:
    (handoff,) = await made(runner)
    (found,) = [one for one in runner.providers.crm()["tasks"] if one["id"] == handoff.crm_task_id]
    properties: dict[str, Any] = found["properties"]
    return properties


async def test_a_rejection_by_link_ends_the_task_and_says_why(runner: ActivityRunner) -> None:
    await handed(runner)
    assert not await update(runner)
    before = (await task(runner))["hs_task_body"]
    await say(runner, "rejected", "not-a-fit")
    assert await update(runner)
    shown = await task(runner)
    assert (shown["hs_task_status"], shown["hs_task_body"]) == (
        "DEFERRED",
        f"{before}<br>Answer: rejected (Not a fit)",
    )
    assert not await update(runner)


async def test_an_accepted_lead_is_begun_and_done_once_it_is_a_customer(runner: ActivityRunner) -> None:
    await handed(runner)
    seen = []
    for said in ("accepted", "converted"):
        await say(runner, said)
        await update(runner)
        seen.append((await task(runner))["hs_task_status"])
    assert seen == ["IN_PROGRESS", "COMPLETED"]


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "500", "429"])
async def test_an_update_that_broke_off_is_repeated_later_and_adds_no_second_line(
    runner: ActivityRunner, kind: str
) -> None:
    await handed(runner)
    await say(runner, "rejected", "not-a-fit")
    runner.providers.fault("hubspot", kind, match="hs_task_status")
    now = utc_now()
    assert await update(runner, now)
    assert not await update(runner, now)
    assert await update(runner, now + timedelta(seconds=30))
    shown = await task(runner)
    assert (shown["hs_task_status"], shown["hs_task_body"].count("Answer: rejected")) == ("DEFERRED", 1)
    assert not await update(runner, now + timedelta(days=1))


async def test_a_task_that_is_gone_is_given_up_and_the_handoff_says_so(runner: ActivityRunner) -> None:
    await handed(runner)
    await runner.store.rows("UPDATE handoff SET crm_task_id = '999999999' RETURNING 1")
    await say(runner, "rejected", "not-a-fit")
    assert await update(runner)
    (handoff,) = await made(runner)
    assert (handoff.task_fault, handoff.status) == ("hubspot:404", "rejected")
    assert not await update(runner, utc_now() + timedelta(days=1))
