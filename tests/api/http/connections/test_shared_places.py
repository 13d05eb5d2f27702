"""Callers without a key share a part of the places, and slow bodies a bounded part of the memory."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.http.bodies import arrival, reading
from api.http.bodies.arrival import Arrivals
from api.http.metrics import Metrics
from api.http.overload import Admission, Line, Visit
from api.http.problems import ProblemError
from tests.api.client import track
from tests.api.server import serve


async def test_strangers_together_have_a_share_and_keep_nobody_else_waiting() -> None:
    admission = Admission(places=16, waiting=5, patience=30)
    assert [await admission.enter(1, Line.STRANGER) for _ in range(4)] == [True] * 4
    waits = asyncio.create_task(admission.enter(1, Line.STRANGER))
    await asyncio.sleep(0)
    assert not waits.done()
    assert await admission.enter(8, Line.OTHER)
    assert await admission.enter(1, Line.URGENT)
    admission.vouched(1)
    assert await waits
    assert (admission.taken, admission.strangers) == (14, 4)


LINES = st.sampled_from(list(Line))


@given(st.lists(st.tuples(LINES, st.integers(1, 40), st.booleans()), max_size=30), st.integers(1, 40))
def test_places_are_counted_right_whoever_comes_and_goes(steps: list[tuple[Line, int, bool]], places: int) -> None:
    async def play() -> None:
        admission = Admission(places, waiting=3, patience=0.01)
        inside: list[tuple[int, Line]] = []
        for line, size, leaves in steps:
            cost = admission.cost(size << 15, line)
            if await admission.enter(cost, line):
                inside.append((cost, line))
            if leaves and inside:
                admission.leave(*inside.pop(0))
            assert admission.taken == sum(held for held, _ in inside) <= max(places, inside[0][0] if inside else 0)
            assert admission.strangers == sum(held for held, line in inside if line is Line.STRANGER) <= admission.share
        for held, line in inside:
            admission.leave(held, line)
        assert (admission.taken, admission.strangers) == (0, 0)

    asyncio.run(play())


async def test_the_memory_of_slow_bodies_is_bounded_by_giving_up_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "HELD_FOR_STRANGERS", 100_000)
    held, admission, metrics = Arrivals(), Admission(100, 5, 30), Metrics()

    async def slow() -> bytes:
        first = True

        async def receive() -> dict[str, object]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b"x" * 40_000, "more_body": True}
            await asyncio.sleep(60)
            raise AssertionError

        return await held.whole(receive, 1 << 20, Visit(admission, "/u/x", metrics))

    tasks = []
    for _ in range(5):
        tasks.append(asyncio.create_task(slow()))
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.2)
    assert [task.done() for task in tasks] == [True, True, True, False, False]
    for task in tasks[:3]:
        with pytest.raises(ProblemError) as caught:
            await task
        assert caught.value.status_code == 408
    assert held.held == {True: 80_000, False: 0}
    for task in tasks[3:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (held.held, admission.taken) == ({True: 0, False: 0}, 0)


def test_nothing_of_slow_bodies_is_left_over() -> None:
    assert reading._ARRIVALS.held == {True: 0, False: 0}


async def test_a_small_body_costs_one_place_and_a_large_one_more(app: FastAPI, key: str) -> None:
    admission = Admission(128, 5, 30)
    assert admission.cost(0, Line.OTHER) == 1
    assert admission.cost(5 << 20, Line.OTHER) == 40
    assert admission.cost(1 << 20, Line.STRANGER) == 32
    assert admission.cost(5 << 20, Line.STRANGER) == 32
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/yaml"}
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        long = track() + "# " + "x" * 400_000
        assert (await client.put("/v1/tracks/welcome", content=long, headers=headers)).status_code == 201
