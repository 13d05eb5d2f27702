"""The end of a run as the database stores it."""

from __future__ import annotations

from datetime import timedelta

from activities.contract import CLOSE_RUN, CloseCall
from store.runs import enrollments
from tests.activities.world import TRACK, World
from tracks.program.run import PathEntry


async def test_how_a_run_ended_is_stored_once(world: World) -> None:
    await world.enroll(TRACK.replace("welcome", "paced"), pace=86400.0)
    run = world.enrollment
    at = run.origin + timedelta(days=10)  # on the run's clock: ten seconds of real time
    entry = PathEntry(seq=0, step="hello", kind="email", outcome="sent", at=at)
    close = CloseCall(
        enrollment_id=run.id, status="converted", reason="goal", clock=run.clock, at=at, path=(entry,), counts={"n": 1}
    )
    await world.local(CLOSE_RUN, close)
    await world.local(CLOSE_RUN, close.model_copy(update={"status": "exited", "reason": "again"}))
    async with world.db.transaction() as tx:
        stored, path = await enrollments.get(tx, run.id), await enrollments.path(tx, run.id)
    assert stored is not None
    assert (stored.status, stored.end_reason, stored.counts) == ("converted", "goal", {"n": 1})
    assert stored.ended_at == run.origin + timedelta(seconds=10)
    assert path == [entry]


async def test_a_reason_that_the_database_cannot_hold_keeps_no_run_open(world: World) -> None:
    run = world.enrollment
    close = CloseCall(enrollment_id=run.id, status="exited", reason="a\x00b", clock=run.clock, at=run.origin)
    await world.local(CLOSE_RUN, close)
    async with world.db.transaction() as tx:
        stored = await enrollments.get(tx, run.id)
    assert stored is not None
    assert (stored.status, stored.end_reason) == ("exited", "ab")
