"""A published version of a score is filled in the background, and then counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from store.audience.fills import score_fills
from store.published import scores
from store.runs.events.events import Event
from tests.store.audience.scores.score_calls import VIEWED, checked, fill, grade, live, publish, told, value, written
from tests.store.audience.segment_calls import fill as fill_segments
from tests.store.audience.segment_calls import members
from tests.store.audience.segment_calls import publish as publish_segment
from tests.store.audience.segment_calls import told as told_of_segments
from tests.store.store_calls import NOW, StoreCalls

DAY = timedelta(days=1)


async def views(store: StoreCalls, who: str, count: int, now: object = NOW) -> None:
    events = [Event(f"{who}-{now}-{n}", who, "page.viewed", {}, now) for n in range(count)]  # type: ignore[arg-type]
    await store.accept(*events, now=now)  # type: ignore[arg-type]


async def test_a_first_version_counts_when_all_contacts_are_evaluated_and_tells_nobody(store: StoreCalls) -> None:
    await views(store, "ann", 6)
    await views(store, "bob", 1)
    await publish(store, written("fill-1", VIEWED))
    async with store.db.transaction() as tx:
        assert (await scores.get(tx, "fill-1")) == scores.ScoreSummary("fill-1", 1, None)
    await fill(store)
    assert (await grade(store, "ann", "fill-1"), await grade(store, "bob", "fill-1")) == ("hot", "cold")
    assert await told(store) == []


async def test_with_tell_those_above_the_lowest_grade_are_told_once(store: StoreCalls) -> None:
    await views(store, "ann", 6)
    await views(store, "bob", 1)
    await live(store, written("fill-2", VIEWED), existing="tell")
    await fill(store)
    assert await told(store) == [("fill-2", "cold", "hot")]
    assert await told(store, "bob") == []


@pytest.mark.parametrize("existing", ["tell", "ignore"])
async def test_a_new_version_tells_whose_grade_is_another_one_only_if_asked(store: StoreCalls, existing: str) -> None:
    name = f"fill-3-{existing}"
    await live(store, written(name, VIEWED))
    await views(store, "ann", 3)
    await views(store, "bob", 1)
    await live(store, written(name, {**VIEWED, "points": 20}), existing=existing)
    assert (await grade(store, "ann", name), await grade(store, "bob", name)) == ("hot", "warm")
    first = [(name, "cold", "warm")]
    assert await told(store) == first + ([(name, "warm", "hot")] if existing == "tell" else [])
    assert await told(store, "bob") == (first if existing == "tell" else [])
    assert (await store.rows("SELECT count(*) AS n FROM score_value WHERE score = :n AND version = 1", n=name))[
        0
    ].n == 0


async def test_a_new_version_lets_a_contact_keep_the_grade_that_it_allows(store: StoreCalls) -> None:
    await live(store, written("fill-4", VIEWED))
    await views(store, "ann", 5)
    later = NOW + DAY  # 45 points: hot is entered at 50 and left below 40
    await live(store, written("fill-4", VIEWED, description="the same in other words"), now=later)
    assert await grade(store, "ann", "fill-4") == "hot"
    assert await told(store) == [("fill-4", "cold", "hot")]


async def test_what_happens_while_a_version_is_filled_is_not_missed(store: StoreCalls) -> None:
    await views(store, "ann", 1)
    await live(store, written("fill-5", VIEWED))
    await publish(store, written("fill-5", {**VIEWED, "points": 12}))
    await views(store, "ann", 3, NOW + timedelta(hours=1))
    await fill(store, NOW + timedelta(hours=2))
    assert (await checked(store, "fill-5", NOW + timedelta(hours=2))).differences == []
    assert await grade(store, "ann", "fill-5") == "warm"
    assert await told(store) == [("fill-5", "cold", "warm")]


async def test_a_killed_filling_goes_on_where_its_last_chunk_ended(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_fills, "CHUNK", 2)
    for who in ("a", "b", "c", "d", "e"):
        await views(store, who, 3)
    await publish(store, written("fill-6", VIEWED), existing="tell")
    for _ in range(12):
        with suppress(RuntimeError):  # a process dies after its work and before the commit
            async with store.db.transaction() as tx:
                await score_fills.step(tx, NOW)
                raise RuntimeError
        await fill(store, most=1)
    for who in ("a", "b", "c", "d", "e"):
        assert await told(store, who) == [("fill-6", "cold", "warm")]
    async with store.db.transaction() as tx:
        version = await scores.version(tx, "fill-6", 1)
    assert version is not None
    assert (version.evaluated, version.state) == (5, "live")


async def test_several_processes_fill_side_by_side(store: StoreCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_fills, "CHUNK", 2)
    for who in ("a", "b", "c", "d", "e"):
        await views(store, who, 3)
    await publish(store, written("fill-7", VIEWED), existing="tell")
    for _ in range(6):
        await asyncio.gather(*(fill(store) for _ in range(3)))
    assert [await told(store, who) for who in "abcde"] == [[("fill-7", "cold", "warm")]] * 5


async def test_a_filling_can_be_paused_and_canceled(store: StoreCalls) -> None:
    await live(store, written("fill-8", VIEWED))
    await publish(store, written("fill-8", {**VIEWED, "points": 20}))
    async with store.db.transaction() as tx:
        assert await scores.pause(tx, "fill-8", 2, paused=True)
    await fill(store)
    async with store.db.transaction() as tx:
        assert await scores.get(tx, "fill-8") == scores.ScoreSummary("fill-8", 2, 1)
        assert await scores.cancel(tx, "fill-8", 2)
        assert await scores.pause(tx, "fill-8", 2, paused=False) is False
    await fill(store)
    async with store.db.transaction() as tx:
        assert await scores.get(tx, "fill-8") == scores.ScoreSummary("fill-8", 2, 1)


async def test_the_same_score_again_is_no_new_version(store: StoreCalls) -> None:
    assert (await publish(store, written("fill-9", VIEWED))).created
    assert not (await publish(store, written("fill-9", VIEWED))).created


@pytest.mark.parametrize("order", ["segment first", "score first"])
async def test_a_segment_about_a_grade_has_its_members_whichever_is_filled_first(store: StoreCalls, order: str) -> None:
    name = f"fill-10-{order[:2]}"
    await views(store, "ann", 3)
    await views(store, "bob", 1)
    await publish(store, written(name, VIEWED))
    for grade_name in ("warm", "cold"):
        await publish_segment(store, f"{name}-{grade_name}", {"score": name, "grade": grade_name})
    for work in (fill_segments, fill) if order == "segment first" else (fill, fill_segments):
        await work(store)
    assert await members(store, f"{name}-warm") == ["ann"]
    assert await members(store, f"{name}-cold") == ["bob"]
    assert await told_of_segments(store) == []


async def test_the_value_of_a_replaced_version_is_not_looked_at_again(store: StoreCalls) -> None:
    await live(store, written("fill-11", VIEWED))
    await views(store, "ann", 3)
    await publish(store, written("fill-11", {**VIEWED, "points": 1}))
    await fill(store)
    assert (await value(store, "ann", "fill-11")).version == 2
    assert len(await store.rows("SELECT * FROM score_value WHERE contact_id = 'ann'")) == 1
