"""`grow`: one installation with more and more waiting runs. Throughput and latency must stay about the same.

A sleeper is a run that has sent nothing and waits 30 days for an event. At each size it measures: a part of the journey
benchmark, waking some random sleepers, memory, disk, CPU while idle, and the doctor's duration. The worker keeps few
runs in memory, so that nearly every woken run is replayed from its history at every size, as with a million runs.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from api.doctor.check import Check
from bench.bare.worker import RATE
from bench.comparisons.journey import Load, live, prepare
from bench.installation.contacts import asleep, click, clicked, enrol, make
from bench.installation.documents import waiting_track
from bench.installation.mail_feed import MailFeed
from bench.installation.one_process import Installation
from bench.installation.processes import Processes
from bench.measuring.measured_runs import measured
from bench.measuring.paired_runs import MEGABYTE, Pair, Row
from bench.measuring.percentiles import percentile

CACHED = 100
"""How many runs the worker keeps in memory: a tenth of the smallest size."""
SLICE = 100
"""Contacts in the journey at each size."""
WOKEN = 50
WAKE_GAP = 0.3
IDLE_SECONDS = 10.0
BEND = 1.5
"""Factor by which the largest size may be worse than the smallest."""


@dataclass(frozen=True)
class Size:
    """The figures of one size: rates a second, seconds, cores, bytes."""

    sleepers: int
    enrolled_per_second: float
    contacts_per_second: float
    woken_p50: float
    woken_p99: float
    idle_cores: dict[str, float]
    memory: dict[str, int]
    postgres: float
    temporal: float
    """Bytes of disk for each sleeper added at this size: PostgreSQL's tables and indexes, Temporal's file, no logs."""
    compared: float
    """Seconds of the doctor's whole check, which compares every live enrolment with every live run."""
    looked: float
    """Seconds of the brief check that a relay runs every few minutes."""
    findings: int
    """Number of the doctor's findings."""


async def grown(sizes: Sequence[int], console: Console) -> list[Size]:
    """Start an installation and grow it from size to size."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        folder = Path(name)
        processes = Processes(folder, queue_rates={"perennial-email": RATE}, cached_runs=CACHED)
        async with processes.open() as installation:
            feed = MailFeed(installation.sandbox)
            async with feed.follow():
                await prepare(installation, [])
                await installation.publish("sleepers", waiting_track("sleepers"))
                grower = _Grower(processes, installation, feed, console)
                return [await grower.to(size) for size in sorted(sizes)]


class _Grower:
    def __init__(self, processes: Processes, installation: Installation, feed: MailFeed, console: Console) -> None:
        self._processes, self._installation, self._feed, self._console = processes, installation, feed, console
        self._sleeping: list[str] = []
        self._made = 0
        self._random = random.Random(4)

    async def to(self, size: int) -> Size:
        """Enrol until `size` runs sleep, then measure."""
        self._console.print(f"{size:,} sleepers …")
        more, before = size - len(self._sleeping), self._disk()
        enrolled_per_second = await self._fill(size)
        postgres, temporal = ((now - then) / more for now, then in zip(self._disk(), before, strict=True))
        contacts_per_second = await self._slice(size)
        p50, p99 = await self._wake()
        idle = await self._idle()
        compared, looked, findings = await self._examined()
        return Size(
            sleepers=size,
            enrolled_per_second=enrolled_per_second,
            contacts_per_second=contacts_per_second,
            woken_p50=p50,
            woken_p99=p99,
            idle_cores=idle,
            memory=dict(self._processes.spent.read(memory=True).memory),
            postgres=postgres,
            temporal=temporal,
            compared=compared,
            looked=looked,
            findings=findings,
        )

    def _disk(self) -> tuple[int, int]:
        folder = self._processes.folder
        return bytes_below(folder / "postgres" / "data" / "base"), (folder / "temporal.db").stat().st_size

    async def _fill(self, size: int) -> float:
        more = size - len(self._sleeping)
        people = [f"sleeper-{number}" for number in range(self._made, self._made + more)]
        self._made += more
        await make(self._installation, people)
        began = asyncio.get_running_loop().time()
        await enrol(self._installation, "sleepers", people)
        self._sleeping += people
        query = "Track = 'sleepers' AND State = 'waiting' AND ExecutionStatus = 'Running'"
        await asleep(self._installation.temporal, query, size, 120 + more / 5, self._console)
        return more / (asyncio.get_running_loop().time() - began)

    async def _slice(self, size: int) -> float:
        people = [f"at-{size}-{number}" for number in range(SLICE)]
        await make(self._installation, people)
        load = Load(lambda who: enrol(self._installation, "journey", [who]), lambda who: click(self._installation, who))
        async with measured(self._processes.spent) as taken:
            await live(load, self._feed, people, taken)
        return taken.figures["contacts_per_second"]

    async def _wake(self) -> tuple[float, float]:
        chosen = self._random.sample(self._sleeping, min(WOKEN, len(self._sleeping) // 2))
        came = await clicked(self._installation, self._feed, chosen, WAKE_GAP, 120)
        woken = set(chosen)
        self._sleeping = [who for who in self._sleeping if who not in woken]
        return percentile(came, 0.5), percentile(came, 0.99)

    async def _idle(self) -> dict[str, float]:
        await asyncio.sleep(2)
        before = self._processes.spent.read()
        await asyncio.sleep(IDLE_SECONDS)
        spent = self._processes.spent.read().since(before)
        return {part: cpu / IDLE_SECONDS for part, cpu in spent.items()}

    async def _examined(self) -> tuple[float, float, int]:
        began = time.monotonic()
        whole = await Check(self._installation.database, self._installation.temporal).whole()
        compared = time.monotonic() - began
        brief = await Check(self._installation.database, self._installation.temporal).brief()
        looked = time.monotonic() - began - compared
        return compared, looked, sum(whole.counts.values()) + sum(brief.counts.values())


def bytes_below(folder: Path) -> int:
    """The size of all files below a folder. A file that disappears meanwhile counts 0."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def rows(sizes: Sequence[Size]) -> list[Row]:
    """The report: each size, then the ratio of the largest to the smallest."""
    return [*(row for size in sizes for row in _lines(size)), *_bends(sizes)]


def _lines(size: Size) -> Iterator[Row]:
    name = f"{size.sleepers:,} sleepers:"
    yield Row(f"{name} enrolled per second", size.enrolled_per_second)
    yield Row(f"{name} contacts per second", size.contacts_per_second)
    yield Row(f"{name} event → mail p50, s", size.woken_p50)
    yield Row(f"{name} event → mail p99, s", size.woken_p99)
    yield Row(f"{name} cores used while idle", sum(size.idle_cores.values()))
    for part, held in size.memory.items():
        yield Row(f"{name} memory of {part}, MB", held / MEGABYTE)
    yield Row(f"{name} PostgreSQL, bytes each", size.postgres)
    yield Row(f"{name} Temporal's file, bytes each", size.temporal)
    yield Row(f"{name} doctor, all compared, s", size.compared)
    yield Row(f"{name} doctor, brief look, s", size.looked)
    yield Row(f"{name} doctor's findings", size.findings, None, None, "0", size.findings == 0)


def _bends(sizes: Sequence[Size]) -> Iterator[Row]:
    least, most = sizes[0], sizes[-1]
    if least is most:
        return
    for what, ratio in (
        ("contacts per second", least.contacts_per_second / most.contacts_per_second),
        ("event → mail p50", most.woken_p50 / least.woken_p50),
    ):
        told = f"{what}: {most.sleepers:,} worse than {least.sleepers:,}"
        yield Row(told, ratio, None, ratio, f"≤ {BEND:g} times", ratio <= BEND)


async def bench(console: Console, *, sizes: Sequence[int]) -> tuple[list[Row], list[Pair]]:
    """The report. Sizes are compared with the smallest one, so there are no pairs."""
    return rows(await grown(sizes, console)), []
