"""What both sides of a comparison have in common: what one run of one side came to, and taking its measure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bench.measuring.resource_use import Peak, Reading, Spent

NOT_COUNTED = ("sandbox",)
"""Parts that stand for the outside world: the provider is nobody's cost."""
LOOK_EVERY = 2.0
"""Seconds between two looks at the memory."""


@dataclass
class Taken:
    """One side, once: seconds by the clock, CPU-seconds and peak memory (bytes) by part, and figures of its own."""

    seconds: float = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    others: float = 0.0
    """Cores that the rest of the machine used meanwhile, the client that makes the load included."""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_counted(self) -> float:
        """CPU-seconds of everything but the stand-in for the outside world."""
        return sum(spent for part, spent in self.cpu.items() if part not in NOT_COUNTED)


@asynccontextmanager
async def measured(spent: Spent, *, memory: bool = True) -> AsyncIterator[Taken]:
    """Fill a `Taken` with what is spent within the block.

    Looking at the memory holds the loop up for tens of milliseconds: without `memory` where the block times answers.
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
