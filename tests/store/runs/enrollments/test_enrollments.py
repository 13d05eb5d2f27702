from __future__ import annotations

from datetime import timedelta

from store.engine.ids import new_id
from store.runs.enrollments import enrollments
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls
from tracks.runs.run_interface import PathEntry


async def test_pages_cover_everything_once_newest_first(store: StoreCalls) -> None:
    await store.publish(WELCOME, TRIAL)
    made = []
    for number in range(7):
        await store.contact(f"c{number}")
        made.append((await store.enrolled("welcome", f"c{number}")).id)
        await store.enrolled("trial", f"c{number}")
    seen: list[str] = []
    before: str | None = None
    async with store.db.transaction() as tx:
        while page := await enrollments.list_page(tx, track="welcome", before=before, limit=3):
            seen += [e.id for e in page]
            before = page[-1].id
        assert len(await enrollments.list_page(tx, contact_id="c1")) == 2
        assert [e.track for e in await enrollments.list_page(tx, contact_id="c1", track="trial")] == ["trial"]
        assert await enrollments.list_page(tx, status="completed") == []
        assert await enrollments.list_page(tx, before="nonsense") == []
    assert seen == sorted(made, reverse=True)


async def test_first_close_says_how_it_ended_and_stores_the_rest_of_the_path(store: StoreCalls) -> None:
    run = await store.live()
    entry = PathEntry(seq=0, step="hello", kind="email", outcome="sent", at=NOW, detail="m1")
    async with store.db.transaction() as tx:
        assert await enrollments.close(
            tx, run.id, "converted", "goal", path=[entry], counts={"email": 1}, now=NOW + timedelta(hours=1)
        )
        assert not await enrollments.close(tx, run.id, "exited", "other")
        closed = await enrollments.get(tx, run.id)
        assert await enrollments.path(tx, run.id) == [entry]
        assert await enrollments.live_for_contact(tx, "ann") == []
    assert closed is not None
    assert (closed.status, closed.end_reason, closed.counts) == ("converted", "goal", {"email": 1})
    assert (closed.ended_at, closed.goal_reached_at) == (NOW + timedelta(hours=1), NOW + timedelta(hours=1))


async def test_reported_path_is_stored_once_and_read_in_order(store: StoreCalls) -> None:
    run = await store.live()
    entries = [PathEntry(seq=n, step=f"s{n}", kind="wait", outcome="done", at=NOW) for n in range(5)]
    async with store.db.transaction() as tx:
        await enrollments.report_path(tx, run.id, entries[3:], step="s4")
        await enrollments.report_path(tx, run.id, entries)
        assert await enrollments.path(tx, run.id) == entries
        assert await enrollments.path(tx, run.id, after=1, limit=2) == entries[2:4]
        assert [e.step for e in await enrollments.live_for_contact(tx, "ann")] == ["s4"]


async def test_run_joins_the_contact_as_they_are_now(store: StoreCalls) -> None:
    enrollment = await store.live()
    await store.contact(locale="de")
    async with store.db.transaction() as tx:
        for found in (await enrollments.run(tx, enrollment.id), await enrollments.lock_run(tx, enrollment.id)):
            assert found is not None
            assert found.contact is not None
            assert (found.enrollment.id, found.contact.locale) == (enrollment.id, "de")
        for unknown in (new_id(), "nonsense"):
            assert await enrollments.run(tx, unknown) is None
            assert await enrollments.lock_run(tx, unknown) is None
            assert await enrollments.get(tx, unknown) is None
            assert await enrollments.path(tx, unknown) == []


async def test_asking_a_run_to_end_goes_through_the_outbox_once_it_lives(store: StoreCalls) -> None:
    run = await store.live()
    async with store.db.transaction() as tx:
        assert await enrollments.request_end(tx, run.id, "asked")
        assert not await enrollments.request_end(tx, "nonsense", "asked")
    assert await store.waiting("end") == [("end", {"reason": "asked"})]
    await store.close(run.id)
    async with store.db.transaction() as tx:
        assert not await enrollments.request_end(tx, run.id, "asked")
