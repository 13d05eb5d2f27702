"""A score begins, steers and ends runs on real servers: by an event, and by nothing but the passing of time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bench.installation.one_process import Installation
from tests.end_to_end.audience.test_segments import happened, run_of

SCORE = """
score: interest
behaviour:
  - {id: viewed, event: page.viewed, points: 10, within: 14d}
  - {id: asked, event: demo.requested, points: 30, half_life: never}
grades: {cold: , warm: 15, hot: 35}
"""
TRACK = """
track: call-them
entry: {score: interest, grade: hot}
exits: [{score: interest, below: hot, reason: cooled-down}]
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - id: how-hot
    branch:
      - when: contact.scores.interest.value >= 50 && contact.scores.interest.grade == "hot"
        steps: [{id: month, wait: 30d}]
    else: [{id: nothing, wait: 1s}]
"""


async def test_a_grade_begins_a_run_a_branch_reads_the_score_and_a_fall_by_time_alone_ends_it(
    installation: Installation,
) -> None:
    await installation.publish("interest", SCORE, "scores")
    async with asyncio.timeout(30):
        while (await installation.call("GET", "/v1/scores/interest"))["live"] is None:
            await asyncio.sleep(0.1)
    await installation.publish("call-them", TRACK)
    who, soon_over = "keen-1", timedelta(days=14) - timedelta(seconds=4)
    await happened(installation, who, "page.viewed", "k-1", soon_over)
    await happened(installation, who, "page.viewed", "k-2", soon_over)
    assert (await installation.call("GET", f"/v1/contacts/{who}/enrollments"))["enrollments"] == []
    await happened(installation, who, "demo.requested", "k-3", timedelta(0))
    run = await run_of(installation, who)
    assert run["track"] == "call-them"
    await installation.until(run["id"], "waiting")
    assert (await installation.call("GET", f"/v1/contacts/{who}"))["scores"]["interest"]["grade"] == "hot"
    ended = await installation.until(run["id"], "exited", seconds=20)
    assert ended["end_reason"] == "cooled-down"
    explained = await installation.call("GET", f"/v1/scores/interest/contacts/{who}")
    assert (explained["value"], explained["grade"]) == (30.0, "warm")
