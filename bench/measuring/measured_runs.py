"""Measure one run of one side of a comparison."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bench.measuring.resource_use import Peak, Reading, Spent

NOT_COUNTED = ("sandbox",)
"""Parts that stand for the outside world. Their CPU does not count."""
LOOK_EVERY = 2.0
"""Seconds between two readings of the memory."""


@dataclass
class Taken:
    """The result of one run: elapsed seconds, CPU-seconds and peak memory (bytes) by part, and other figures."""

    seconds: float = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    others: float = 0.0
    """Cores that the rest of the machine used meanwhile, including the load's client."""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_counted(self) -> float:
        """CPU-seconds of all parts without the stand-ins for the outside world."""
        return sum(spent for part, spent in self.cpu.items() if part not in NOT_COUNTED)


@asynccontextmanager
async def measured(spent: Spent, *, memory: bool = True) -> AsyncIterator[Taken]:
    """Measure the block, and fill the yielded `Taken` at its end.

    Reading the memory blocks the event loop for tens of milliseconds, so use `memory=False` if the block times answers.
    """
    taken, peak = Taken(), Peak()

    async def look() -> None:
        while memory:
            peak.look(spent.read(memory=True))
            await asyncio.sleep(LOOK_EVERY)

    before: Reading = spent.read()
    began = time.monotonic()
    looking = asyncio.create_task(look())
    try:
        yield taken
    finally:
        taken.seconds = time.monotonic() - began
        after = spent.read()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        taken.cpu = after.since(before)
        taken.memory = peak.seen
        taken.others = after.others_since(before) / taken.seconds
