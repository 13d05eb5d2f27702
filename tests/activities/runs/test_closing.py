"""The end of a run as the database stores it."""

from __future__ import annotations

from datetime import timedelta

from activities.contract import CLOSE_RUN, CloseCall
from store.engine.sql import utc_now
from store.runs.enrollments import enrollments
from tests.activities.activity_runner import TRACK, ActivityRunner
from tests.store.audience.segment_calls import live, members, told
from tests.store.store_calls import StoreCalls
from tracks.runs.run_interface import PathEntry


async def test_how_a_run_ended_is_stored_once(runner: ActivityRunner) -> None:
    await runner.enroll(TRACK.replace("welcome", "paced"), pace=86400.0)
    run = runner.enrollment
    at = run.origin + timedelta(days=10)  # on the run's clock: ten seconds of real time
    entry = PathEntry(seq=0, step="hello", kind="email", outcome="sent", at=at)
    close = CloseCall(
        enrollment_id=run.id, status="converted", reason="goal", clock=run.clock, at=at, path=(entry,), counts={"n": 1}
    )
    await runner.local(CLOSE_RUN, close)
    await runner.local(CLOSE_RUN, close.model_copy(update={"status": "exited", "reason": "again"}))
    async with runner.db.transaction() as tx:
        stored, path = await enrollments.get(tx, run.id), await enrollments.path(tx, run.id)
    assert stored is not None
    assert (stored.status, stored.end_reason, stored.counts) == ("converted", "goal", {"n": 1})
    assert stored.ended_at == run.origin + timedelta(seconds=10)
    assert path == [entry]


async def test_a_reason_that_the_database_cannot_hold_keeps_no_run_open(runner: ActivityRunner) -> None:
    run = runner.enrollment
    close = CloseCall(enrollment_id=run.id, status="exited", reason="a\x00b", clock=run.clock, at=run.origin)
    await runner.local(CLOSE_RUN, close)
    async with runner.db.transaction() as tx:
        stored = await enrollments.get(tx, run.id)
    assert stored is not None
    assert (stored.status, stored.end_reason) == ("exited", "ab")


async def test_a_segment_that_names_the_track_changes_when_the_run_ends(runner: ActivityRunner) -> None:
    run, calls = runner.enrollment, StoreCalls(runner.db)
    await live(calls, "won", {"converted": run.track}, now=utc_now())
    await live(calls, "on-it", {"on": run.track}, now=utc_now())
    assert await members(calls, "on-it") == [run.contact_id]
    close = CloseCall(enrollment_id=run.id, status="converted", reason="goal", clock=run.clock, at=run.origin)
    for _ in range(2):
        await runner.local(CLOSE_RUN, close)
        assert (await members(calls, "won"), await members(calls, "on-it")) == ([run.contact_id], [])
    assert sorted(await told(calls, run.contact_id)) == [("entered", "won"), ("left", "on-it")]
