from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.relay import start_limit
from api.relay.delivery import Delivered, Delivery, Later
from api.relay.start_limit import StartLimit

MOST = 64


class Server:
    """A server that processes some starts in parallel and queues the others. Its time passes with each answer."""

    def __init__(self, bare: float, at_once: int) -> None:
        self.bare, self.at_once, self.now = bare, at_once, 0.0

    def answer(self, room: StartLimit, n: int) -> None:
        took = self.bare * max(1.0, n / self.at_once)
        self.now += took / n  # n calls are always open, so one is answered this often
        room.learn(self.now - took, self.now, n)

    def serve(self, room: StartLimit, seconds: float) -> int:
        """Always start as many as the limit allows. Returns how many these are at the end."""
        until = self.now + seconds
        while self.now < until:
            self.answer(room, max(1, room.free))
        return room.free


@given(bare=st.floats(0.002, 0.2), at_once=st.integers(1, 40))
def test_a_server_is_kept_busy_with_a_short_queue(bare: float, at_once: int) -> None:
    """The distance of the server does not matter: only the delay beyond the shortest answer counts."""
    n = Server(bare, at_once).serve(StartLimit(MOST), 0.9 * start_limit.RELEARN)
    assert at_once <= n <= at_once + start_limit.QUEUED + 2


def test_a_server_without_a_queue_gets_as_many_as_there_are_places_for() -> None:
    assert Server(0.04, 1000).serve(StartLimit(MOST), 0.5) == MOST


@pytest.mark.parametrize(("before", "after"), [(2, 20), (20, 2)], ids=["faster", "slower"])
def test_it_follows_a_server_that_changes(before: int, after: int) -> None:
    room, server = StartLimit(MOST), Server(0.01, before)
    server.serve(room, 15)
    server.at_once = after
    n = server.serve(room, 1.4 * start_limit.RELEARN)
    assert after <= n <= after + start_limit.QUEUED + 2


def test_a_server_that_others_keep_busy_is_not_spared_for_long() -> None:
    """The server takes ten times as long for all callers: this is not a queue of our starts."""
    room, server = StartLimit(MOST), Server(0.01, 20)
    server.serve(room, 15)
    server.bare = 0.1
    assert server.serve(room, 1.4 * start_limit.RELEARN) >= 20


def test_what_was_not_used_says_nothing() -> None:
    """A single start is answered at once, whatever would happen to many of them."""
    room, server = StartLimit(MOST), Server(0.01, 2)
    few = server.serve(room, 5)
    for _ in range(300):
        server.answer(room, 1)
    assert room.free == few


async def test_places_are_taken_and_given_back_whatever_becomes_of_a_start() -> None:
    room = StartLimit(MOST)
    Server(0.01, 10).serve(room, 3)
    before = room.free
    answers: list[asyncio.Future[Delivery]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
    tasks = [asyncio.create_task(room.within(answer)) for answer in answers]
    await asyncio.sleep(0)
    assert room.free == before - 3
    answers[0].set_result(Delivered())
    answers[1].set_result(Later("UNAVAILABLE"))
    answers[2].set_exception(OSError())
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not room._under_way


async def test_a_start_that_hangs_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_limit, "PATIENCE", 0.05)
    room = StartLimit(MOST)
    hung = asyncio.create_task(room.within(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    assert room.free == 0
    await asyncio.sleep(0.1)
    assert room.free == 1
    hung.cancel()
    await asyncio.wait([hung])
    assert room.free == 1
