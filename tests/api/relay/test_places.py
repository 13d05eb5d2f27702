from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.relay import places
from api.relay.delivery import Delivered, Delivery, Later
from api.relay.places import Places

MOST = 64


def lived(room: Places, bare: float, at_once: int, starts: int) -> int:
    """How many set out together in the end, before a server that does `at_once` side by side and queues the others."""
    n = room.free
    for _ in range(starts):
        n = room.free
        room.learn(bare * max(1.0, n / at_once), n)
    return n


@given(bare=st.floats(0.001, 0.5), at_once=st.integers(1, 40))
def test_a_server_is_kept_busy_with_a_short_queue(bare: float, at_once: int) -> None:
    """However far away it is: what counts is how much longer an answer takes than it could."""
    n = lived(Places(MOST), bare, at_once, 900)
    assert at_once <= n <= at_once + places.QUEUED + 2


def test_a_server_without_a_queue_gets_as_many_as_there_are_places_for() -> None:
    assert lived(Places(MOST), 0.04, 1000, 300) == MOST


@pytest.mark.parametrize(("before", "after"), [(2, 20), (20, 2)], ids=["faster", "slower"])
def test_it_follows_a_server_that_changes(before: int, after: int) -> None:
    room = Places(MOST)
    lived(room, 0.01, before, 500)
    n = lived(room, 0.02, after, 2 * places.RELEARN)
    assert after <= n <= after + places.QUEUED + 2


def test_what_was_not_used_says_nothing() -> None:
    """A start now and then is answered at once, whatever a flood of them would do."""
    room = Places(MOST)
    lived(room, 0.01, 2, 500)
    few = room.free
    for _ in range(300):
        room.learn(0.01, 1)
    assert room.free == few


async def test_places_are_taken_and_given_back_whatever_becomes_of_a_start() -> None:
    room = Places(MOST)
    lived(room, 0.01, 10, 100)
    before = room.free
    answers: list[asyncio.Future[Delivery]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
    tasks = [asyncio.create_task(room.within(answer)) for answer in answers]
    await asyncio.sleep(0)
    assert room.free == before - 3
    answers[0].set_result(Delivered())
    answers[1].set_result(Later("UNAVAILABLE"))
    answers[2].set_exception(OSError())
    await asyncio.gather(*tasks, return_exceptions=True)
    assert room.free in (before, before + 1)
