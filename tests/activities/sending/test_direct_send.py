"""Sends without the provider's queue: only within its rate, a few at once, and while the provider accepts messages."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.contract import QUEUE_EMAIL, SEND_EMAIL, SEND_EMAIL_NOW, SendResult
from activities.sending import queue_rates
from activities.sending.direct_send import BURST, QUEUED, SHUT_FOR, DirectSend, DirectSendWatch
from store.engine.background.live_workers import worker_name
from store.engine.database import Database
from store.sending.messages import message_lists
from tests.activities.activity_runner import ActivityRunner
from tests.conftest import DevServer

SENT = SendResult(outcome="sent")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


def direct_send_at(rate: float, clock: Time, at_once: int = 4) -> DirectSend:
    direct = DirectSend(at_once, clock)
    direct.told(rate, clock.now)
    return direct


async def sent() -> SendResult:
    return SENT


def test_it_is_shut_while_the_queues_rate_is_not_known(clock: Time) -> None:
    direct = DirectSend(4, clock)
    assert not direct.is_open()
    direct.told(math.inf, clock.now)
    assert direct.is_open()
    clock.now += queue_rates.TRUSTED_FOR - 0.01
    assert direct.is_open()
    clock.now += 0.01
    assert not direct.is_open(), "nobody knows what an operator has set meanwhile"


def test_what_is_known_is_as_old_as_the_question_not_as_the_answer(clock: Time) -> None:
    direct = DirectSend(4, clock)
    direct.told(math.inf, clock.now - queue_rates.TRUSTED_FOR)
    assert not direct.is_open()


def test_a_queue_that_is_stopped_has_no_way_past(clock: Time) -> None:
    direct = direct_send_at(math.inf, clock)
    direct.told(0, clock.now)
    clock.now += 1
    assert not direct.is_open()


async def test_few_are_under_way_at_once_and_those_from_the_queue_count(clock: Time) -> None:
    direct = direct_send_at(math.inf, clock, at_once=2)
    done = asyncio.Event()

    async def slow() -> SendResult:
        await done.wait()
        return SENT

    first = asyncio.create_task(direct.now(slow))
    second = asyncio.create_task(direct.send(slow()))
    await asyncio.sleep(0)
    assert await direct.now(sent) == QUEUED
    done.set()
    assert [await first, await second] == [SENT, SENT]
    assert await direct.now(sent) == SENT


@pytest.mark.parametrize(("after", "shut"), [(None, SHUT_FOR), (timedelta(minutes=2), 120)])
async def test_a_provider_that_refuses_is_left_to_the_queue_for_a_while(
    clock: Time, after: timedelta | None, shut: float
) -> None:
    direct = direct_send_at(math.inf, clock)

    async def refuse() -> SendResult:
        raise ApplicationError("ses:Throttling", type="ProviderThrottled", next_retry_delay=after)

    with pytest.raises(ApplicationError):
        await direct.send(refuse())
    assert await direct.now(sent) == QUEUED
    clock.now += shut - 0.1
    direct.told(math.inf, clock.now)
    assert await direct.now(sent) == QUEUED
    clock.now += 0.2
    assert await direct.now(sent) == SENT


@given(
    rate=st.floats(0.1, 200),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60),
)
def test_both_ways_together_keep_to_the_rate(rate: float, steps: list[tuple[float, int, int]]) -> None:
    """Direct sends use only the part of the rate that the queue leaves, over any time span."""
    clock = Time()
    direct = direct_send_at(rate, clock)
    began, burst = clock.now, max(1.0, rate * BURST)
    passed: list[float] = []
    queued = 0
    for pause, from_queue, wishes in steps:
        clock.now += pause
        direct.told(rate, clock.now)
        for _ in range(from_queue):
            direct.begin()
            direct.end()
            queued += 1
        for _ in range(wishes):
            if direct.is_open():
                direct.begin()
                direct.end()
                passed.append(clock.now)
    for index, first in enumerate(passed):
        within = passed[index:]
        assert len(within) <= burst + rate * (within[-1] - first) + 1e-6
    if passed and queued <= rate * (passed[-1] - began):  # the queue itself keeps to the rate
        assert len(passed) + queued <= rate * (clock.now - began) + 2 * burst + sum(step[1] for step in steps[-1:])


async def test_after_a_pause_one_message_at_least_may_go(clock: Time) -> None:
    direct = direct_send_at(0.01, clock)
    assert await direct.now(sent) == QUEUED
    clock.now += 100
    direct.told(0.01, clock.now)
    assert await direct.now(sent) == SENT
    assert await direct.now(sent) == QUEUED


async def opened(*direct_sends: DirectSend) -> None:
    async with asyncio.timeout(20):
        while not all(direct.is_open() for direct in direct_sends):
            await asyncio.sleep(0.05)


async def test_a_queue_that_is_stopped_stops_what_goes_past_it(dev_server: DevServer, db: Database) -> None:
    client, queue, direct = await dev_server.connect(), f"direct-{time.time()}", DirectSend()
    async with DirectSendWatch(db, client, {queue: direct}):
        await opened(direct)
        await queue_rates.write(client, queue, 0, "operator")
        await asyncio.sleep(queue_rates.TRUSTED_FOR)
        assert not direct.is_open()
        await queue_rates.write(client, queue, None, "operator")
        await opened(direct)


async def test_workers_have_equal_parts_of_a_rate(dev_server: DevServer, postgres_url: str) -> None:
    client, queue = await dev_server.connect(), f"direct-{time.time()}"
    await queue_rates.write(client, queue, 80, "operator")
    told: list[float] = []

    class Listening(DirectSend):
        def told(self, rate: float, asked_at: float) -> None:
            told.append(rate)

    async with AsyncExitStack() as stack:
        for _ in range(2):
            database = Database(postgres_url, 2, name=worker_name())
            stack.push_async_callback(database.close)
            await DirectSendWatch(database, client, {queue: Listening()}).look()
    assert told == [80, 40]


async def test_a_server_that_is_away_shuts_the_lane(db: Database) -> None:
    direct = DirectSend()
    async with DirectSendWatch(db, await Client.connect("127.0.0.1:1", lazy=True), {QUEUE_EMAIL: direct}):
        direct.told(math.inf, time.monotonic() - queue_rates.TRUSTED_FOR + 0.5)
        assert direct.is_open(), "for what is left of the last answer's time"
        await asyncio.sleep(1)
        assert not direct.is_open()


async def test_a_message_goes_past_the_queue_as_it_would_through_it(runner: ActivityRunner) -> None:
    runner.activities.direct_sends[QUEUE_EMAIL].told(math.inf, time.monotonic())
    now = await runner.local(SEND_EMAIL_NOW, runner.call("hello"))
    again = await runner.run(QUEUE_EMAIL, SEND_EMAIL, runner.call("hello"))
    assert now == again and now.outcome == "sent"
    assert len(runner.providers.accepted(runner.email)) == 1


async def test_a_message_that_is_claimed_is_handed_over_though_its_runs_task_is_lost(runner: ActivityRunner) -> None:
    runner.activities.direct_sends[QUEUE_EMAIL].told(math.inf, time.monotonic())
    runner.providers.fault("ses", "latency", seconds=0.4, times=1, match=runner.email)
    lost = asyncio.create_task(runner.local(SEND_EMAIL_NOW, runner.call("hello")))
    async with asyncio.timeout(10):
        while not await claimed(runner):
            await asyncio.sleep(0.01)
    lost.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lost
    await runner.activities.close()
    assert (await runner.message()).status == "sent"
    assert len(runner.providers.accepted(runner.email)) == 1


async def claimed(runner: ActivityRunner) -> bool:
    async with runner.db.transaction() as tx:
        return bool(await message_lists.of_enrollment(tx, runner.enrollment.id))


async def test_what_may_not_go_past_the_queue_is_not_touched(runner: ActivityRunner) -> None:
    assert await runner.local(SEND_EMAIL_NOW, runner.call("hello")) == QUEUED
    assert runner.providers.accepted(runner.email) == []
    assert (await runner.send("hello")).outcome == "sent"


async def test_an_email_that_the_provider_throttles_is_released_for_the_queue(runner: ActivityRunner) -> None:
    runner.activities.direct_sends[QUEUE_EMAIL].told(math.inf, time.monotonic())
    runner.providers.fault("ses", "429", times=1, match=runner.email)
    assert await runner.local(SEND_EMAIL_NOW, runner.call("hello")) == QUEUED
    assert (await runner.message()).status == "released"
    assert not runner.activities.direct_sends[QUEUE_EMAIL].is_open()
    assert (await runner.send("hello", attempt=2)).outcome == "sent"
    assert len(runner.providers.accepted(runner.email)) == 1
