"""With far too many requests, each gets in time its answer or a `Retry-After`, and nothing accepted is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import text

from api.http.overload import LONGEST_RETRY, Admission, Line
from bench.installation.fork_server import ForkServer
from infra.launch.ports import HOST, any_free
from infra.launch.process import Child
from infra.launch.temporal import without_temporal_environment
from store.engine.database import Database
from tests.api.client import track
from tests.api.messages import rows
from tests.support.forked import forked

AT_ONCE, WAITING, PATIENCE = 16, 24, 3.0
CALLERS = 100
BOUND = 20.0
"""Seconds for any answer on a busy machine."""


@pytest.fixture
def server(postgres_url: str, tmp_path: Path, forks: ForkServer) -> Iterator[tuple[str, Child]]:
    """The real API process with few places."""
    port = any_free()
    environment = without_temporal_environment() | {
        "DATABASE_URL": postgres_url,
        "TEMPORAL_ADDRESS": f"{HOST}:9",
        "PERENNIAL_SECRET": "s" * 40,
        "PERENNIAL_REQUESTS_AT_ONCE": str(AT_ONCE),
        "PERENNIAL_REQUESTS_WAITING": str(WAITING),
        "PERENNIAL_LONGEST_REQUEST_WAIT": str(PATIENCE),
    }
    child = forked(forks, "api", "api", "--port", str(port), log=tmp_path / "api.log", env=environment)
    url = f"http://{HOST}:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        child.wait_ready(answers, 60)
        yield url, child
    finally:
        child.stop(3)


@pytest.fixture
async def callers(server: tuple[str, Child], key: str) -> AsyncIterator[httpx.AsyncClient]:
    """As many connections as there are callers."""
    limits = httpx.Limits(max_connections=CALLERS + 10, max_keepalive_connections=CALLERS + 10)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=server[0], headers=headers, limits=limits, timeout=60, trust_env=False
    ) as client:
        yield client


def event(number: int) -> dict[str, object]:
    return {"event_id": f"e-{number}", "contact_id": f"user-{number % 97}", "name": "trial.started"}


async def test_a_burst_is_answered_in_time_and_whoever_comes_again_gets_through(
    server: tuple[str, Child], callers: httpx.AsyncClient, db: Database
) -> None:
    told = await callers.put(
        "/v1/tracks/welcome",
        content=track(more="entry: {event: trial.started}\n"),
        headers={"Content-Type": "application/yaml"},
    )
    assert told.status_code == 201, told.text
    process = psutil.Process(server[1].pid)
    before = process.memory_info().rss
    first: Counter[int] = Counter()
    took: list[float] = []
    probes: list[float] = []

    async def call(number: int, patient: bool) -> bool:
        """Send an event. A patient caller obeys `Retry-After` until the event is accepted."""
        while True:
            began = time.monotonic()
            answer = await callers.post("/v1/events", json=event(number))
            first[answer.status_code] += 1
            if answer.status_code == 202:
                took.append(time.monotonic() - began)
                return True
            assert answer.status_code == 429, answer.text
            assert answer.json()["type"] == "urn:perennial:problem:overloaded"
            seconds = int(answer.headers["retry-after"])
            assert 1 <= seconds <= LONGEST_RETRY
            if not patient:
                return False
            await asyncio.sleep(seconds)

    async def probe() -> None:
        async with httpx.AsyncClient(base_url=server[0], timeout=60, trust_env=False) as orchestrator:
            while True:
                for path in ("/healthz", "/readyz"):
                    began = time.monotonic()
                    assert (await orchestrator.get(path)).status_code == 200
                    probes.append(time.monotonic() - began)
                await asyncio.sleep(0.05)

    async def caller(numbers: range) -> list[int]:
        return [number for number in numbers if await call(number, False)]

    probing = asyncio.create_task(probe())
    async with db.transaction() as slow:  # the database is slow, so requests pile up
        await slow.execute(text("LOCK TABLE event IN EXCLUSIVE MODE"))
        impatient = [asyncio.create_task(caller(range(at, at + 3))) for at in range(0, CALLERS * 3, 3)]
        async with asyncio.timeout(30):
            while first[429] < CALLERS:
                await asyncio.sleep(0.01)
    taken = [number for numbers in await asyncio.gather(*impatient) for number in numbers]
    assert first[202] == len(taken) >= AT_ONCE * 7 // 8, first

    patient = await asyncio.gather(*(call(10_000 + number, True) for number in range(CALLERS)))
    assert all(patient)
    assert not probing.done()
    probing.cancel()

    stored = {str(row[0]) for row in await rows(db, "SELECT event_id FROM event")}
    assert stored == {f"e-{number}" for number in taken} | {f"e-{10_000 + number}" for number in range(CALLERS)}
    contacts = {number % 97 for number in taken} | {(10_000 + number) % 97 for number in range(CALLERS)}
    assert await rows(db, "SELECT count(*), count(DISTINCT contact_id) FROM enrollment") == [
        (len(contacts), len(contacts))
    ]
    assert max(took) < BOUND
    assert max(probes) < BOUND
    assert process.memory_info().rss - before < 60 << 20
    assert (await callers.get("/v1/tracks")).status_code == 200
    figures = (await callers.get("/metrics")).text
    assert 'perennial_overload_refused_total{class="other"}' in figures


async def test_the_callbacks_of_providers_come_first_and_are_refused_last() -> None:
    admission = Admission(places=2, waiting=2, patience=30)
    order: list[str] = []

    async def visit(name: str, line: Line) -> bool:
        admitted = await admission.enter(1, line)
        if admitted:
            order.append(name)
            await asyncio.sleep(0.01)
            admission.leave(1, line)
        return admitted

    calls = [asyncio.create_task(visit(f"call-{number}", Line.OTHER)) for number in range(5)]
    await asyncio.sleep(0)
    callbacks = [asyncio.create_task(visit(f"callback-{number}", Line.URGENT)) for number in range(8)]
    assert await asyncio.gather(*callbacks) == [True] * 8
    answers = await asyncio.gather(*calls)
    assert sum(answers) == 4
    assert order.index("callback-7") < order.index("call-3")
    assert admission.taken == 0


async def test_a_place_is_given_back_by_whoever_hangs_up_or_waits_in_vain() -> None:
    admission = Admission(places=1, waiting=5, patience=0.05)
    assert await admission.enter(1, Line.OTHER)
    gone, waits = (
        asyncio.create_task(admission.enter(1, Line.OTHER)),
        asyncio.create_task(admission.enter(1, Line.OTHER)),
    )
    await asyncio.sleep(0)
    gone.cancel()
    assert not await waits
    admission.leave(1, Line.OTHER)
    assert admission.taken == 0
    assert await admission.enter(1, Line.OTHER)


async def test_large_bodies_take_more_places_so_that_memory_is_bounded() -> None:
    admission = Admission(places=100, waiting=5, patience=0.05)
    assert [await admission.enter(40, Line.OTHER) for _ in range(3)] == [True, True, False]
    assert await admission.enter(20, Line.URGENT), "the last places are for callbacks"
    assert not await admission.enter(1, Line.OTHER)
